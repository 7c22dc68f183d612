#pragma once

namespace hearth {

// The only argument of a process in this role: at a shell over standard input and output, or as a child over
// the socket to its parent.
inline constexpr const char* convert_role = "--convert";
inline constexpr const char* convert_child_role = "internal-convert";

// The role of a process that makes a GGUF file: reads one job as JSON from descriptor `in`,
//   {"from": [paths], "to": path, "quantize": "Q4_K_M" | null, "threads": n, "name": general.name},
// and writes lines of JSON to `out`: {"status", "completed", "total"}, at most ten in a second, and last
//   {"done": true, "file_type": n, "quantization": "Q4_K_M", "bytes": n, "notes": […]} or
//   {"error", "remedy", "code"}.
// `from` is a GGUF file, the parts of one, or a folder (or the files of one folder) as published with
// safetensors. Only "from" and "to" are needed. What reads the model is a child in the sandbox that can write
// to the one file that was opened for it; the file gets its name when it is complete. Returns the exit code:
// 0 or 1.
int run_conversion(int in, int out);

}  // namespace hearth
