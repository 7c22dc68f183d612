// Clang 14 knows coroutines under their name from before C++20 only, and GCC's library does not offer that.
// Included in front of every file by the build where the compiler is that one.
#pragma once
#define __cpp_impl_coroutine 201902L
#include <coroutine>
namespace std::experimental {
using std::coroutine_handle;
using std::coroutine_traits;
using std::noop_coroutine;
using std::suspend_always;
using std::suspend_never;
}  // namespace std::experimental
