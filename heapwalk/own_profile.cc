#include "heapwalk/own_profile.h"

#include <algorithm>

#include "heapwalk/runtimes/go/profiles/profiles.h"

namespace heapwalk {
namespace {

constexpr std::pair<OwnProfileKind, std::string_view> kNames[] = {
    {OwnProfileKind::heap, "heap"},           {OwnProfileKind::allocs, "allocs"},
    {OwnProfileKind::goroutine, "goroutine"}, {OwnProfileKind::threadcreate, "threadcreate"},
    {OwnProfileKind::block, "block"},         {OwnProfileKind::mutex, "mutex"},
};

}  // namespace

std::optional<OwnProfileKind> parse_own_profile_kind(std::string_view name) {
  for (const auto& [kind, text] : kNames)
    if (text == name) return kind;
  return std::nullopt;
}

std::string_view name_of(OwnProfileKind kind) {
  for (const auto& [known, text] : kNames)
    if (known == kind) return text;
  return {};
}

Result<OwnProfile> read_own_profile(const CoreDump& dump, OwnProfileKind kind, Diagnostics& diagnostics) {
  return go::read_profile(dump, kind, diagnostics);
}

}  // namespace heapwalk
