#include "heapwalk/runtimes/go/profiles/profiles.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

constexpr size_t kOldStackDepth = 32;       // of all stacks before Go 1.23
constexpr size_t kDefaultStackDepth = 128;  // GODEBUG=profstackdepth=…
constexpr size_t kMaxStackDepth = 1024;

}  // namespace

Result<Address> find_variable(const ProfileInputs& inputs, std::string_view name) {
  if (const auto at = inputs.process.variable(name)) return *at;
  return fail("{}: {} was not found: {}", inputs.dump.path, name,
              inputs.process.has_symbols ? "the program does not have it"
                                         : "the program was stripped of its symbols (-ldflags=-s)");
}

size_t profile_stack_depth(const ProfileInputs& inputs) {
  if (!inputs.process.layout.has(Field::debug_profstackdepth)) return kOldStackDepth;
  const auto debug = inputs.process.variable("runtime.debug");
  if (!debug) return kDefaultStackDepth;
  const auto depth =
      Record(inputs.dump.memory, inputs.process.layout, *debug).read<int32_t>(Field::debug_profstackdepth);
  if (!depth || *depth < 0) return kDefaultStackDepth;
  return std::min(static_cast<size_t>(*depth), kMaxStackDepth);
}

Result<OwnProfile> read_profile(const CoreDump& dump, OwnProfileKind kind, Diagnostics& diagnostics) {
  const auto process = find_process(dump, diagnostics);
  if (!process) return fail("{}: no run-time that keeps profiles is in this process (known: Go)", dump.path);
  const Functions functions(dump.memory, process->layout, process->modules);
  const ProfileInputs inputs{dump, *process, functions};
  switch (kind) {
    case OwnProfileKind::heap:
    case OwnProfileKind::allocs:
      return read_memory_profile(inputs, kind == OwnProfileKind::allocs, diagnostics);
    case OwnProfileKind::block:
    case OwnProfileKind::mutex:
      return read_contention_profile(inputs, kind == OwnProfileKind::mutex, diagnostics);
    case OwnProfileKind::goroutine:
      return read_goroutine_profile(inputs, diagnostics);
    case OwnProfileKind::threadcreate:
      break;
  }
  return read_thread_profile(inputs, diagnostics);
}

}  // namespace heapwalk::go
