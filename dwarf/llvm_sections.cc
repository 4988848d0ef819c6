#include "dwarf/llvm_sections.h"

namespace heapwalk {

LlvmSections::LlvmSections(const DebugSections& sections, uint64_t& damage) : sections_(sections), damage_(damage) {}

const LlvmSections& LlvmSections::of(const llvm::DWARFUnit& unit) {
  return static_cast<const LlvmSections&>(unit.getContext().getDWARFObj());
}

llvm::StringRef LlvmSections::get(std::string_view name) const {
  const Bytes bytes = sections_.get(name);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

llvm::DWARFContext* LlvmSections::alternate_context() const {
  const DebugSections* alternate = sections_.alternate();
  if (alternate == nullptr) return nullptr;
  if (alternate_ == nullptr) alternate_ = alternate->make_context(damage_);
  return alternate_.get();
}

}  // namespace heapwalk
