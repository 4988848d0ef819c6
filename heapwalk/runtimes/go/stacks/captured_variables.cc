#include "heapwalk/runtimes/go/stacks/captured_variables.h"

#include <array>
#include <string_view>

#include "heapwalk/roots/frame_roots.h"

namespace heapwalk::go {
namespace {

constexpr size_t kMaxEntries = 1 << 18;

// "main.serve.func1", "main.Map[...].func2.1", "main.main.gowrap3", "main.each-range1"
bool is_closure_name(std::string_view name) {
  constexpr std::array<std::string_view, 4> kMarks = {".func", ".gowrap", ".deferwrap", "-range"};
  for (std::string_view mark : kMarks) {
    const size_t at = name.rfind(mark);
    const size_t digit = at + mark.size();
    if (at != std::string_view::npos && digit < name.size() && name[digit] >= '0' && name[digit] <= '9') return true;
  }
  return false;
}

}  // namespace

std::vector<Address> closure_entries(const Functions& functions) {
  std::vector<Address> entries;
  for (const LineTable& table : functions.tables()) {
    for (size_t i = 0; i < table.size() && entries.size() < kMaxEntries; ++i) {
      const auto function = table.at(i);
      if (function && is_closure_name(function->name)) entries.push_back(function->entry());
    }
  }
  return entries;
}

CapturedVariables find_captured(std::span<const Address> entries, const FramePlaces& places) {
  CapturedVariables found;
  for (Address entry : entries) {
    const FrameFunction* function = places.function_at(entry);
    if (function != nullptr && !function->captured.empty()) found.try_emplace(entry, function->captured);
  }
  return found;
}

}  // namespace heapwalk::go
