#include "dump/link_map.h"

#include <elf.h>

#include <unordered_set>

#include <fmt/format.h>

namespace heapwalk {
namespace {

constexpr uint64_t kMaxDynamicEntries = 4096;
constexpr size_t kMaxModules = 8192;
constexpr size_t kMaxNamespaces = 256;  // glibc has 16

struct LinkMapWords {  // the public part of struct link_map
  uint64_t bias;
  uint64_t name;
  uint64_t dynamic;
  uint64_t next;
  uint64_t previous;
};

struct DebugWords {  // struct r_debug, and r_next of struct r_debug_extended
  int32_t version;
  int32_t padding;
  uint64_t map;
  uint64_t breakpoint;
  uint64_t state;
  uint64_t linker_base;
};

}  // namespace

std::optional<Address> find_debug_structure(const AddressSpace& memory, Address dynamic) {
  for (uint64_t i = 0; i < kMaxDynamicEntries; ++i) {
    auto entry = memory.read<Elf64_Dyn>(dynamic + i * sizeof(Elf64_Dyn));
    if (!entry || entry->d_tag == DT_NULL) return std::nullopt;
    if (entry->d_tag == DT_DEBUG && entry->d_un.d_ptr != 0) return Address{entry->d_un.d_ptr};
  }
  return std::nullopt;
}

bool is_debug_structure(const AddressSpace& memory, Address r_debug) {
  auto words = memory.read<DebugWords>(r_debug);
  if (!words || words->version < 1 || words->version > 16 || words->map == 0) return false;
  auto first = memory.read<LinkMapWords>(Address{words->map});
  return first && first->previous == 0 && first->dynamic != 0;
}

std::vector<LinkMapEntry> read_link_map(const AddressSpace& memory, Address r_debug, Diagnostics& diagnostics) {
  std::vector<LinkMapEntry> entries;
  std::unordered_set<Address> seen;
  auto broken = [&](Address where, std::string_view why) {
    diagnostics.add("broken_link_map",
                    fmt::format("the dynamic linker's list breaks off at {:#x}: {}", where.value, why));
  };
  for (size_t name_space = 0; name_space < kMaxNamespaces && r_debug; ++name_space) {
    auto words = memory.read<DebugWords>(r_debug);
    if (!words || !seen.insert(r_debug).second) {
      broken(r_debug, words ? "a cycle of namespaces" : "absent memory");
      break;
    }
    for (Address at{words->map}; at;) {
      auto entry = memory.read<LinkMapWords>(at);
      if (!entry) {
        broken(at, "absent memory");
        break;
      }
      if (!seen.insert(at).second || entries.size() >= kMaxModules) {
        broken(at, entries.size() < kMaxModules ? "a cycle" : "too many entries");
        break;
      }
      std::string name;
      if (entry->name != 0) name = memory.read_c_string(Address{entry->name}).value_or("");
      entries.push_back({at, entry->bias, std::move(name), Address{entry->dynamic}});
      at = Address{entry->next};
    }
    if (words->version < 2) break;
    r_debug = memory.read_pointer(r_debug + sizeof(DebugWords)).value_or(Address{});
  }
  return entries;
}

}  // namespace heapwalk
