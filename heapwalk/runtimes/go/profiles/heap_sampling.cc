#include "heapwalk/runtimes/go/profiles/heap_sampling.h"

namespace heapwalk::go {
namespace {

bool is_runtime_function(std::string_view name, int release) {
  return name.starts_with("runtime.") || (release >= 24 && name.starts_with("internal/runtime/"));
}

}  // namespace

Result<int64_t> read_sampling_rate(const ProfileInputs& inputs) {
  const auto variable = find_variable(inputs, "runtime.MemProfileRate");
  if (!variable) return std::unexpected(variable.error());
  const auto rate = inputs.dump.memory.read<int64_t>(*variable);
  if (!rate) return fail("{}: runtime.MemProfileRate is not in the core", inputs.dump.path);
  return *rate;
}

Error sampling_is_off(const ProfileInputs& inputs, std::string_view wanted, int64_t rate) {
  const auto disabled = inputs.process.variable("runtime.disableMemoryProfiling");
  if (disabled && inputs.dump.memory.read<uint8_t>(*disabled).value_or(0) != 0)
    return Error{
        fmt::format("{}: no {}: the linker switched it off, as nothing in the program can ask for it "
                    "(link net/http/pprof or runtime/pprof in, or call runtime.MemProfile)",
                    inputs.dump.path, wanted)};
  return Error{fmt::format("{}: no {}: the program set runtime.MemProfileRate to {}", inputs.dump.path, wanted, rate)};
}

// `math.useFMA` is there when anything uses math.Exp.
ExpMethod exp_method(const ProfileInputs& inputs) {
  if (inputs.dump.process.architecture != Architecture::x86_64) return ExpMethod::library;
  const auto flag = inputs.process.variable("math.useFMA");
  const auto fused = flag ? inputs.dump.memory.read<uint8_t>(*flag) : std::nullopt;
  return fused == 0 ? ExpMethod::plain : ExpMethod::fused;
}

std::vector<uint32_t> visible_locations(CallStacks& stacks, std::span<const uint64_t> stack, int release) {
  size_t hidden = 0;
  while (hidden < stack.size() && is_runtime_function(stacks.function_at(stack[hidden]), release)) ++hidden;
  if (hidden == stack.size()) hidden = 0;
  auto locations = stacks.locations(stack.subspan(hidden));
  return locations.empty() ? stacks.locations(stack) : locations;
}

}  // namespace heapwalk::go
