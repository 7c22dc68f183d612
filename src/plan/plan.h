#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plan/kv.h"
#include "plan/profile.h"

// What will be allocated where, as arithmetic over numbers: no file, no device, no model is touched here. The
// loader allocates exactly the buffers that a plan lists.
namespace hearth {

struct Wish {
  uint32_t context = 0;   // tokens per sequence; 0 = the largest sensible
  uint32_t parallel = 1;  // sequences of full context at once; 0 = one, or more where the cache is small
  uint32_t rows = 512;    // rows per step at most
  KvTypes kv;
  std::optional<uint32_t> gpu_layers = std::nullopt;  // num_gpu: so many layers, the head counted first
  uint32_t main_gpu = 0;                              // which device is filled first, the host not counted
  bool spread = false;                                // over all devices, even where one is enough

  uint32_t requests() const noexcept { return parallel == 0 ? 1 : parallel; }  // at least
};

enum class BufferKind : uint8_t { weights, kv, arena, workspace, results };
std::string_view to_string(BufferKind kind) noexcept;

struct Buffer {
  BufferKind kind{};
  uint64_t bytes = 0;
  bool mapped = false;  // pages of the file, not anonymous memory
};

// What one device allocates: all that Device::reserve needs to know.
struct DeviceBuffers {
  std::string device;
  std::vector<Buffer> buffers = {};
  std::vector<uint32_t> pages = {};  // per cache group
  KvTypes kv = {};

  uint64_t of(BufferKind kind) const noexcept;
  uint64_t anonymous() const noexcept;  // what is really allocated
  uint64_t mapped() const noexcept;
  bool copies_weights() const noexcept;  // it holds weights of its own, in its own form
};

// A part of the model and the number of its device in Plan::devices.
struct Placement {
  PartKind kind = PartKind::layer;
  uint16_t layer = 0;
  uint32_t device = 0;
  friend bool operator==(const Placement&, const Placement&) = default;
};

// Tokens per second; 0 = unknown.
struct Speed {
  double prompt = 0, generation = 0;  // at a short context
  double generation_full = 0;         // with the context full
  bool measured = false;              // from rates that were measured on these devices
};

struct Plan {
  std::vector<DeviceBuffers> devices;  // one per budget; those that take no part have empty lists
  std::vector<Placement> parts;        // one per part of the profile
  uint32_t context = 0, parallel = 0, rows = 0;
  uint32_t results = 0;         // rows of scores per step at most
  std::vector<uint32_t> pages;  // per cache group
  KvTypes kv;
  uint64_t crossing = 0;  // bytes of host memory for what crosses between devices
  Speed expected;
  std::vector<std::string> notes;  // every departure from the wish, with its reason

  uint64_t anonymous() const noexcept;  // of all devices
  bool uses(uint32_t device) const noexcept;
  // Layers (experts apart) that lie on a device.
  uint32_t layers_on(uint32_t device) const noexcept;
};

// A single change that makes a refused wish fit. For a smaller file of the same model `bits` says how many
// bits per weight it may have, for more memory `usable` what the named device needs.
struct Change {
  std::string text;
  Wish wish;
  double bits = 0;
  uint64_t usable = 0;
};

// It does not fit: how much is missing, and which single changes would make it fit, smallest first.
struct Shortfall {
  uint64_t needed = 0, usable = 0;
  bool mapped = false;  // `needed` counts the pages of the file too: a limit holds for them
  std::string cause;    // where it is not for want of memory: what a driver does not give in one piece
  std::vector<Change> would_fit;

  std::string remedy() const;  // the changes in a sentence
};

// A context that was asked for is kept or refused. Context 0: 8192 tokens or the model's own limit; more
// where everything lies on accelerators, the cache takes a quarter of them at most and a fifth stays free;
// less, with a note, where not even that fits. Parallel 0: so many sequences that 8192 tokens fit in all, at
// most sixteen, as long as no device gives more than a 32nd for them. Devices are given in the order of
// preference, the host (maps_weights) among them or not.
std::variant<Plan, Shortfall> place(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                                    const Wish& wish);
std::variant<Plan, Shortfall> place(const MemoryProfile& model, const DeviceBudget& device, const Wish& wish);

// The largest context that fits, whole pages, at most the model's own; 0 = none. The wish's own is ignored.
uint32_t largest_context(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Wish& wish);

// The same model with `bits` per weight in place of what its file has.
MemoryProfile with_bits(const MemoryProfile& model, double bits);

}  // namespace hearth
