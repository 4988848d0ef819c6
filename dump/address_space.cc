#include "dump/address_space.h"

#include <algorithm>
#include <cstring>
#include <queue>
#include <utility>

namespace heapwalk {
namespace {

// Appends a piece, as part of the last region where it continues that one in the process and in our memory.
void append(std::vector<Region>& regions, const Region& piece) {
  if (!regions.empty()) {
    Region& last = regions.back();
    bool touches = last.range.end == piece.range.begin && last.state == piece.state;
    if (touches && (piece.data == nullptr || last.data + last.range.size_bytes() == piece.data)) {
      last.range.end = piece.range.end;
      return;
    }
  }
  regions.push_back(piece);
}

Region cut(const Region& region, AddressRange range) {
  const std::byte* data = region.data == nullptr ? nullptr : region.data + (range.begin - region.range.begin);
  return {range, region.state, data};
}

// Sweeps over the beginnings in address order and keeps the regions that reach past the sweep position in a heap, best
// first. Each step either takes in a region or retires one, so there are at most 2n pieces, however they overlap.
std::vector<Region> without_overlaps(const std::vector<Region>& input) {
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < input.size(); ++i)
    if (!input[i].range.empty()) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return input[a].range.begin < input[b].range.begin; });

  auto worse = [&](uint32_t a, uint32_t b) {
    return std::pair(input[a].state, a) > std::pair(input[b].state, b);  // ByteState is in order of preference
  };
  std::priority_queue<uint32_t, std::vector<uint32_t>, decltype(worse)> active(worse);
  std::vector<Region> result;
  Address position;
  for (size_t next = 0; next < order.size() || !active.empty();) {
    while (!active.empty() && input[active.top()].range.end <= position) active.pop();
    if (active.empty()) {
      if (next == order.size()) break;
      position = input[order[next]].range.begin;
    }
    while (next < order.size() && input[order[next]].range.begin <= position) active.push(order[next++]);
    const Region& best = input[active.top()];
    Address end = best.range.end;
    if (next < order.size()) end = std::min(end, input[order[next]].range.begin);
    append(result, cut(best, {position, end}));
    position = end;
  }
  return result;
}

}  // namespace

AddressSpace::AddressSpace(std::vector<Region> regions) {
  for (Region& region : regions) {
    if (region.data == nullptr) region.state = ByteState::absent;
    if (region.state == ByteState::absent) region.data = nullptr;
  }
  regions_ = without_overlaps(regions);
}

const Region* AddressSpace::find(Address address) const {
  auto after = std::upper_bound(regions_.begin(), regions_.end(), address,
                                [](Address a, const Region& region) { return a < region.range.begin; });
  if (after == regions_.begin()) return nullptr;
  const Region& region = *std::prev(after);
  return region.range.contains(address) ? &region : nullptr;
}

Bytes AddressSpace::read(Address address, uint64_t size) const {
  const Region* region = find(address);
  if (region == nullptr || region->data == nullptr) return {};
  uint64_t offset = address - region->range.begin;
  return {region->data + offset, std::min(size, region->range.size_bytes() - offset)};
}

Bytes AddressSpace::read_exactly(Address address, uint64_t size) const {
  Bytes bytes = read(address, size);
  return bytes.size() == size ? bytes : Bytes{};
}

bool AddressSpace::copy(Address address, std::span<std::byte> out) const {
  while (!out.empty()) {
    Bytes bytes = read(address, out.size());
    if (bytes.empty()) return false;
    std::memcpy(out.data(), bytes.data(), bytes.size());
    out = out.subspan(bytes.size());
    address += bytes.size();
  }
  return true;
}

std::optional<std::string> AddressSpace::read_c_string(Address address, uint64_t max_bytes) const {
  std::string text;
  while (text.size() < max_bytes) {
    Bytes bytes = read(address + text.size(), max_bytes - text.size());
    if (bytes.empty()) return std::nullopt;
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    const void* nul = std::memchr(begin, 0, bytes.size());
    if (nul != nullptr) return text.append(begin, static_cast<const char*>(nul));
    text.append(begin, bytes.size());
  }
  return std::nullopt;
}

bool AddressSpace::check() const {
  for (size_t i = 0; i < regions_.size(); ++i) {
    const Region& region = regions_[i];
    if (region.range.empty()) return false;
    if ((region.data == nullptr) != (region.state == ByteState::absent)) return false;
    if (i > 0 && regions_[i - 1].range.end > region.range.begin) return false;
  }
  return true;
}

}  // namespace heapwalk
