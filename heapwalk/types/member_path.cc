#include "heapwalk/types/member_path.h"

#include <vector>

namespace heapwalk {
namespace {

constexpr size_t kMaxRecords = 64;  // looked into for one member

// What stands before the separator; the text begins behind it afterwards.
std::string_view take(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return part;
}

// Breadth first, so that the outermost member of the name is found.
std::optional<Member> find_part(const TypeTable& types, Member around, std::string_view name) {
  std::vector<Member> pending = {around};
  for (size_t i = 0; i < pending.size() && i < kMaxRecords; ++i) {
    const Member outer = pending[i];
    for (const Field& field : types.fields(outer.type)) {
      if (field.name == name) return Member{field.type, outer.offset_bytes + field.offset_bytes};
      if (field.type == kNoType) continue;
      const TypeKind kind = types[field.type].kind;
      if (kind == TypeKind::record || kind == TypeKind::union_) {
        pending.push_back({field.type, outer.offset_bytes + field.offset_bytes});
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Member> find_member(const TypeTable& types, TypeId record, std::string_view path) {
  while (record != kNoType && !path.empty()) {
    std::string_view names = take(path, '|');
    std::optional<Member> member = Member{record, 0};
    while (member && !names.empty()) {
      const bool has_members = member->type != kNoType;
      member = has_members ? find_part(types, *member, take(names, '.')) : std::nullopt;
    }
    if (member) return member;
  }
  return std::nullopt;
}

bool is_one_of(std::string_view name, std::string_view names) {
  while (!names.empty()) {
    if (take(names, '|') == name) return true;
  }
  return false;
}

}  // namespace heapwalk
