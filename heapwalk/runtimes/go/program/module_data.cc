#include "heapwalk/runtimes/go/program/module_data.h"

namespace heapwalk::go {
namespace {

// Words of one moduledata, by field.
class Words {
 public:
  Words(const AddressSpace& memory, const Layout& layout, Address at) : memory_(memory), layout_(layout), at_(at) {}

  Address address(Field field) const {
    if (!layout_.has(field)) return {};
    return memory_.read_pointer(at_ + layout_.offset(field)).value_or(Address{});
  }
  AddressRange range(Field begin, Field end) const { return {address(begin), address(end)}; }
  MaskedRange masked(Field begin, Field end, Field mask) const {
    MaskedRange result{range(begin, end), 0, {}};
    const Address vector = at_ + layout_.offset(mask);  // runtime.bitvector: n int32, bytedata *byte
    const auto bits = memory_.read<int32_t>(vector);
    const auto bytes = memory_.read_pointer(vector + 8);
    if (!bits || !bytes || *bits <= 0) return result;
    result.mask_bits = static_cast<uint64_t>(*bits);
    result.mask = memory_.read(*bytes, (result.mask_bits + 7) / 8);
    return result;
  }

 private:
  const AddressSpace& memory_;
  const Layout& layout_;
  Address at_;
};

bool is_sane(const AddressSpace& memory, AddressRange range) {
  constexpr uint64_t kLargest = uint64_t{1} << 32;  // offsets within an image have 32 bits
  return range.begin <= range.end && range.size_bytes() <= kLargest &&
         (range.empty() || memory.find(range.begin) != nullptr);
}

}  // namespace

std::optional<Slice> read_slice(const AddressSpace& memory, Address at) {
  const auto data = memory.read_pointer(at);
  const auto length = memory.read_word(at + 8);
  const auto capacity = memory.read_word(at + 16);
  if (!data || !length || !capacity) return std::nullopt;
  return Slice{*data, *length, *capacity};
}

std::optional<ModuleData> read_module_data(const AddressSpace& memory, const Layout& layout, Address at,
                                           Address* next) {
  const Words words(memory, layout, at);
  ModuleData data;
  data.address = at;
  data.pc_header = words.address(Field::moduledata_pcHeader);
  data.text = words.range(Field::moduledata_text, Field::moduledata_etext);
  data.types = words.range(Field::moduledata_types, Field::moduledata_etypes);
  data.rodata = words.address(Field::moduledata_rodata);
  data.gofunc = words.address(Field::moduledata_gofunc);
  data.data = words.masked(Field::moduledata_data, Field::moduledata_edata, Field::moduledata_gcdatamask);
  data.bss = words.masked(Field::moduledata_bss, Field::moduledata_ebss, Field::moduledata_gcbssmask);
  data.noptrdata = words.range(Field::moduledata_noptrdata, Field::moduledata_enoptrdata);
  data.noptrbss = words.range(Field::moduledata_noptrbss, Field::moduledata_enoptrbss);
  if (next != nullptr) *next = words.address(Field::moduledata_next);
  if (!data.pc_header || data.text.empty() || data.types.empty()) return std::nullopt;
  for (AddressRange range : {data.text, data.types, data.data.range, data.bss.range, data.noptrdata, data.noptrbss})
    if (!is_sane(memory, range)) return std::nullopt;
  return data;
}

}  // namespace heapwalk::go
