// All goroutines by stack, and all threads by the stack that made them.
//
// The run-time's own goroutines are left out, as in its own profile. Each sample has the labels that the program put on the
// goroutines, and `state`: why they wait, or what else they do ("chan receive", "running"). The run-time writes a profile
// from one goroutine with the others stopped at calls; in a core several may be anywhere, on a stack of frames that the
// line table unwinds.
#include <algorithm>
#include <map>

#include "heapwalk/runtimes/go/profiles/profiles.h"
#include "heapwalk/runtimes/go/program/record.h"
#include "heapwalk/runtimes/go/stacks/call_stacks.h"
#include "heapwalk/runtimes/go/stacks/goroutine_labels.h"
#include "heapwalk/runtimes/go/stacks/stack_walk.h"

namespace heapwalk::go {
namespace {

constexpr size_t kMaxThreads = 1 << 22;  // as many as Linux has process ids
constexpr size_t kCreationDepth = 32;    // m.createstack

using Labels = std::vector<std::pair<std::string, std::string>>;

struct StackKey {
  std::vector<uint64_t> stack;
  Labels labels;
  auto operator<=>(const StackKey&) const = default;
};

// As the run-time lists it: made-up return addresses for inlined calls, no wrappers, `depth` at most.
std::vector<uint64_t> return_addresses(const GoroutineStack& stack, size_t depth) {
  std::vector<uint64_t> result;
  std::vector<LogicalFrame> frames;
  FunctionKind callee = FunctionKind::normal;
  for (const Frame& frame : stack.frames) {
    frames.clear();
    frame.function().table->logical_frames(frame.function(), frame.call_pc(), frames);
    for (const LogicalFrame& logical : frames) {
      if (result.size() == depth) return result;
      if (!is_hidden_wrapper(logical.kind, callee)) result.push_back(logical.call_pc.value + 1);
      callee = logical.kind;
    }
  }
  return result;
}

// The most frequent stacks first.
OwnProfile counted_profile(const ProfileInputs& inputs, const char* what, const std::map<StackKey, int64_t>& counts) {
  OwnProfile profile;
  profile.sample_types = {{what, "count"}};
  profile.period_type = {what, "count"};
  CallStacks stacks(inputs.functions, profile);
  for (const auto& [key, count] : counts) {
    OwnProfile::Sample sample{stacks.locations(key.stack), {count}, {}};
    for (const auto& [name, text] : key.labels) sample.labels.push_back({name, text, 0});
    profile.samples.push_back(std::move(sample));
  }
  std::ranges::stable_sort(profile.samples, [](const auto& a, const auto& b) { return a.values > b.values; });
  return profile;
}

}  // namespace

Result<OwnProfile> read_goroutine_profile(const ProfileInputs& inputs, Diagnostics& diagnostics) {
  if (const auto list = find_variable(inputs, "runtime.allgs"); !list) return std::unexpected(list.error());
  const Goroutines goroutines = read_goroutines(inputs.dump, inputs.process, inputs.functions, diagnostics);
  const size_t depth = profile_stack_depth(inputs);
  StackWalker walker(inputs.dump, inputs.process, inputs.functions);
  GoroutineStack stack;
  std::map<StackKey, int64_t> counts;
  for (const Goroutine& goroutine : goroutines.all) {
    if (goroutine.is_system) continue;
    walker.walk(goroutine, stack);
    if (stack.frames.empty())
      diagnostics.add("go_stack_unread", fmt::format("the stack of goroutine {} could not be read", goroutine.id));
    StackKey key{return_addresses(stack, depth),
                 read_goroutine_labels(inputs.dump.memory, inputs.process.layout, goroutine.labels)};
    key.labels.emplace_back("state", goroutine.state());
    ++counts[std::move(key)];
  }
  return counted_profile(inputs, "goroutine", counts);
}

Result<OwnProfile> read_thread_profile(const ProfileInputs& inputs, Diagnostics& diagnostics) {
  const auto list = find_variable(inputs, "runtime.allm");
  if (!list) return std::unexpected(list.error());
  const AddressSpace& memory = inputs.dump.memory;
  std::map<StackKey, int64_t> counts;
  size_t threads = 0;
  for (Address at = memory.read_pointer(*list).value_or(Address{}); at;) {
    const Record m(memory, inputs.process.layout, at);
    const auto next = m.pointer(Field::m_alllink);
    if (!next || ++threads > kMaxThreads) {
      diagnostics.add("go_threads_unread",
                      fmt::format("the thread at {:#x} and those behind it could not be read", at.value));
      break;
    }
    StackKey key;
    for (uint64_t i = 0; i < kCreationDepth; ++i) {
      const uint64_t address = m.word(Field::m_createstack, 8 * i).value_or(0);
      if (address == 0) break;
      key.stack.push_back(address);
    }
    ++counts[std::move(key)];
    at = *next;
  }
  return counted_profile(inputs, "threadcreate", counts);
}

}  // namespace heapwalk::go
