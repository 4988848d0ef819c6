#include "heapwalk/types/template_names.h"

#include <array>
#include <charconv>
#include <span>

namespace heapwalk {
namespace {

constexpr std::array<std::string_view, 3> kOtherNamespaces = {"std::__2::", "std::__ndk1::", "std::__Cr::"};
constexpr std::string_view kAbsl = "absl::";
constexpr std::array<std::string_view, 2> kAbslVersions = {"lts_", "debian"};
constexpr int kMaxBases = 4;

// Those of a base class where the record's own are left out, as gcc does for std::allocator.
std::span<const TypeId> arguments_of(const TypeTable& types, TypeId record) {
  for (int i = 0; i < kMaxBases && types[record].argument_count == 0; ++i) {
    const auto fields = types.fields(record);
    if (fields.empty() || !fields.front().is_base || fields.front().type == kNoType) break;
    record = fields.front().type;
  }
  return types.arguments(record);
}

}  // namespace

std::string_view template_name(std::string_view name) {
  const size_t first = name.find('<');
  if (first == std::string_view::npos || first == 0) return name;
  size_t depth = 0;
  for (size_t at = first; at < name.size(); ++at) {
    if (name[at] == '<') ++depth;
    // "std::_Rb_tree<…>::_Rb_tree_impl<…>" is a member of a template, not an instance of it.
    if (name[at] == '>' && name[at - 1] == '-') continue;  // "Box<dyn Fn(u64) -> u64>"
    if (name[at] == '>' && --depth == 0) return at + 1 == name.size() ? name.substr(0, first) : name;
  }
  return name;
}

std::string library_name(std::string_view name) {
  name = template_name(name);
  for (std::string_view other : kOtherNamespaces) {
    if (name.starts_with(other)) return "std::__1::" + std::string(name.substr(other.size()));
  }
  if (name.starts_with(kAbsl)) {
    const std::string_view rest = name.substr(kAbsl.size());
    for (std::string_view version : kAbslVersions) {
      const size_t end = rest.find("::");
      if (rest.starts_with(version) && end != std::string_view::npos)
        return std::string(kAbsl) + std::string(rest.substr(end + 2));
    }
  }
  return std::string(name);
}

TypeId template_argument(const TypeTable& types, TypeId record, std::string_view path) {
  if (path.empty()) return kNoType;
  const char* const end = path.data() + path.size();
  for (const char* at = path.data(); at < end && record != kNoType;) {
    size_t number = 0;
    const auto parsed = std::from_chars(at, end, number);
    const auto arguments = arguments_of(types, record);
    if (parsed.ec != std::errc() || number >= arguments.size()) return kNoType;
    record = arguments[number];
    at = parsed.ptr + 1;
  }
  return record;
}

}  // namespace heapwalk
