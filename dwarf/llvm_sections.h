// The sections of one file as LLVM asks for them, and the way from there to the alternate file.
//
//     DWARFUnit ─► its DWARFContext ─► LlvmSections ─► DebugSections ─► those of the alternate file
//                                            └───────► a context over these, made when first asked for
//
// LLVM reads no file but the one it was given: it knows the forms that lead to the alternate file, not where that is. Every
// context is made over an object of this class, so that an entry finds the way by itself.
// Source: DWARF 5 §7.3.6; dwz(1) for the forms of DWARF 4; LLVM 19, DWARFObject.h.
#pragma once

#include <memory>

#include "dwarf/debug_info.h"

namespace heapwalk {

class LlvmSections final : public llvm::DWARFObject {
 public:
  LlvmSections(const DebugSections& sections, uint64_t& damage);
  static const LlvmSections& of(const llvm::DWARFUnit& unit);

  const DebugSections& sections() const { return sections_; }
  llvm::DWARFContext* alternate_context() const;  // for the thread that uses the context; null when there is none

  llvm::StringRef getFileName() const override { return sections_.path(); }
  bool isLittleEndian() const override { return true; }
  uint8_t getAddressSize() const override { return 8; }
  std::optional<llvm::RelocAddrEntry> find(const llvm::DWARFSection&, uint64_t) const override { return std::nullopt; }

  using Visit = llvm::function_ref<void(const llvm::DWARFSection&)>;
  void forEachInfoSections(Visit visit) const override { visit_one(info_, visit); }
  void forEachTypesSections(Visit visit) const override { visit_one(types_, visit); }
  void forEachInfoDWOSections(Visit visit) const override { visit_one(info_dwo_, visit); }
  void forEachTypesDWOSections(Visit visit) const override { visit_one(types_dwo_, visit); }
  llvm::StringRef getAbbrevSection() const override { return get("debug_abbrev"); }
  llvm::StringRef getStrSection() const override { return get("debug_str"); }
  llvm::StringRef getLineStrSection() const override { return get("debug_line_str"); }
  llvm::StringRef getAbbrevDWOSection() const override { return get("debug_abbrev.dwo"); }
  llvm::StringRef getStrDWOSection() const override { return get("debug_str.dwo"); }
  llvm::StringRef getCUIndexSection() const override { return get("debug_cu_index"); }
  llvm::StringRef getTUIndexSection() const override { return get("debug_tu_index"); }
  const llvm::DWARFSection& getLineSection() const override { return line_; }
  const llvm::DWARFSection& getStrOffsetsSection() const override { return str_offsets_; }
  const llvm::DWARFSection& getAddrSection() const override { return addr_; }
  const llvm::DWARFSection& getRangesSection() const override { return ranges_; }
  const llvm::DWARFSection& getRnglistsSection() const override { return rnglists_; }
  const llvm::DWARFSection& getLocSection() const override { return loc_; }
  const llvm::DWARFSection& getLoclistsSection() const override { return loclists_; }
  const llvm::DWARFSection& getStrOffsetsDWOSection() const override { return str_offsets_dwo_; }
  const llvm::DWARFSection& getRnglistsDWOSection() const override { return rnglists_dwo_; }
  const llvm::DWARFSection& getLocDWOSection() const override { return loc_dwo_; }
  const llvm::DWARFSection& getLoclistsDWOSection() const override { return loclists_dwo_; }

 private:
  llvm::StringRef get(std::string_view name) const;
  llvm::DWARFSection section(std::string_view name) const { return {get(name)}; }
  static void visit_one(const llvm::DWARFSection& section, Visit visit) {
    if (!section.Data.empty()) visit(section);
  }

  const DebugSections& sections_;
  uint64_t& damage_;
  mutable std::unique_ptr<llvm::DWARFContext> alternate_;
  llvm::DWARFSection info_ = section("debug_info"), types_ = section("debug_types"), line_ = section("debug_line"),
                     str_offsets_ = section("debug_str_offsets"), addr_ = section("debug_addr"),
                     ranges_ = section("debug_ranges"), rnglists_ = section("debug_rnglists"),
                     loc_ = section("debug_loc"), loclists_ = section("debug_loclists"),
                     info_dwo_ = section("debug_info.dwo"), types_dwo_ = section("debug_types.dwo"),
                     str_offsets_dwo_ = section("debug_str_offsets.dwo"), rnglists_dwo_ = section("debug_rnglists.dwo"),
                     loc_dwo_ = section("debug_loc.dwo"), loclists_dwo_ = section("debug_loclists.dwo");
};

}  // namespace heapwalk
