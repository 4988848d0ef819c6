#include "heapwalk/types/rtti.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace heapwalk {
namespace {

constexpr std::array<std::string_view, 3> kClassInfos = {"N10__cxxabiv117__class_type_infoE",
                                                         "N10__cxxabiv120__si_class_type_infoE",
                                                         "N10__cxxabiv121__vmi_class_type_infoE"};
constexpr uint64_t kMaxNameBytes = 4096;
constexpr size_t kMaxTypeInfos = size_t{1} << 20;

struct TypeInfo {
  Address address;
  std::string name;
};

// Without the file nobody knows which part that is.
AddressRange initialised(const Module& module, const ModuleSegment& segment) {
  return module.image == nullptr && segment.file_backed.empty() ? segment.range : segment.file_backed;
}

// Where vtables and type_infos may lie: data that the loader relocates, and constants of a program that is not relocated.
std::vector<Bytes> data_of(const CoreDump& dump, std::vector<AddressRange>& ranges) {
  std::vector<Bytes> all;
  for (const Module& module : dump.modules) {
    for (const ModuleSegment& segment : module.segments) {
      if (segment.executable || (!segment.writable && !segment.relro && module.bias != 0)) continue;
      const AddressRange range = initialised(module, segment);
      for (Address at = range.begin.align_up(8); at < range.end;) {
        const Bytes bytes = dump.memory.read(at, range.end - at);
        if (bytes.size() < 8) break;
        all.push_back(bytes);
        ranges.push_back(AddressRange::of(at, bytes.size()));
        at += bytes.size() / 8 * 8;
      }
    }
  }
  return all;
}

class RttiSearch {
 public:
  explicit RttiSearch(const CoreDump& dump) : dump_(dump), data_(data_of(dump, ranges_)) {}

  std::vector<RttiVtable> run() {
    find_class_infos();
    if (class_infos_.empty()) return {};
    find_type_infos();
    return find_vtables();
  }

 private:
  // Calls f(address, word) for every aligned word of the data.
  template <class F>
  void for_each_word(F f) const {
    for (size_t i = 0; i < data_.size(); ++i) {
      const Bytes bytes = data_[i];
      for (uint64_t at = 0; at + 8 <= bytes.size(); at += 8)
        f(ranges_[i].begin + at, Address{load<uint64_t>(bytes.data() + at)});
    }
  }

  void find_class_infos() {
    for (const Module& module : dump_.modules) {
      for (std::string_view name : kClassInfos) {
        const auto vtable = module.symbol_range("_ZTV" + std::string(name));
        if (vtable && vtable->size_bytes() >= 24) class_infos_.push_back(vtable->begin + 16);
      }
    }
    if (class_infos_.empty()) find_class_infos_by_name();
    std::ranges::sort(class_infos_);
  }

  // Without symbols: from the names of these classes to their own type_infos, and from there to the vtables.
  void find_class_infos_by_name() {
    std::vector<Address> names;
    for (const Module& module : dump_.modules) {
      for (const ModuleSegment& segment : module.segments) {
        if (segment.executable) continue;
        const AddressRange range = initialised(module, segment);
        const Bytes bytes = dump_.memory.read(range.begin, range.size_bytes());
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        for (std::string_view name : kClassInfos) {
          const size_t at = text.find(std::string(name) + '\0');
          if (at != std::string_view::npos) names.push_back(range.begin + at);
        }
      }
    }
    if (names.empty()) return;
    for_each_word([&](Address at, Address word) {
      if (std::ranges::find(names, word) != names.end()) type_infos_.push_back({at - 8, {}});
    });
    for (const RttiVtable& vtable : find_vtables()) class_infos_.push_back(vtable.address_point);
    type_infos_.clear();
  }

  void find_type_infos() {
    const AddressRange span{class_infos_.front(), class_infos_.back() + 1};
    for_each_word([&](Address at, Address word) {
      if (!span.contains(word) || !std::ranges::binary_search(class_infos_, word) ||
          type_infos_.size() == kMaxTypeInfos)
        return;
      const auto name_at = dump_.memory.read_pointer(at + 8);
      auto name = name_at ? dump_.memory.read_c_string(*name_at, kMaxNameBytes) : std::nullopt;
      if (!name) return;
      if (name->starts_with('*')) name->erase(0, 1);  // not compared by name: of no consequence here
      if (!name->empty()) type_infos_.push_back({at, std::move(*name)});
    });
  }

  std::vector<RttiVtable> find_vtables() {
    std::vector<RttiVtable> found;
    if (type_infos_.empty()) return found;
    std::ranges::sort(type_infos_, {}, &TypeInfo::address);
    const AddressRange span{type_infos_.front().address, type_infos_.back().address + 1};
    for (size_t i = 0; i < data_.size(); ++i) {
      const std::byte* words = data_[i].data();
      for (uint64_t at = 8; at + 16 <= data_[i].size(); at += 8) {
        const Address word{load<uint64_t>(words + at)};
        if (!span.contains(word) || load<uint64_t>(words + at - 8) != 0) continue;
        const auto info = std::ranges::lower_bound(type_infos_, word, {}, &TypeInfo::address);
        if (info == type_infos_.end() || info->address != word) continue;
        if (is_code(Address{load<uint64_t>(words + at + 8)}))
          found.push_back({ranges_[i].begin + (at + 8), info->name});
      }
    }
    std::ranges::sort(found, {}, &RttiVtable::address_point);
    return found;
  }

  bool is_code(Address address) const {
    const Module* module = dump_.find_module(address);
    return module != nullptr && std::ranges::any_of(module->segments, [&](const ModuleSegment& segment) {
             return segment.executable && segment.range.contains(address);
           });
  }

  const CoreDump& dump_;
  std::vector<AddressRange> ranges_;
  std::vector<Bytes> data_;
  std::vector<Address> class_infos_;  // address points of the run-time's own vtables, sorted
  std::vector<TypeInfo> type_infos_;  // sorted by address once vtables are looked for
};

}  // namespace

std::vector<RttiVtable> find_rtti_vtables(const CoreDump& dump) {
  return RttiSearch(dump).run();
}

}  // namespace heapwalk
