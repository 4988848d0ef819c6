#include "dwarf/frame_variables.h"

#include <algorithm>
#include <utility>

namespace heapwalk {

FrameVariables::FrameVariables(std::vector<uint64_t> link_pcs) : pcs_(std::move(link_pcs)) {
  std::ranges::sort(pcs_);
  pcs_.erase(std::ranges::unique(pcs_).begin(), pcs_.end());
  function_of_.assign(pcs_.size(), kNone);
}

bool FrameVariables::wants(uint64_t begin, uint64_t end) const {
  auto first = std::ranges::lower_bound(pcs_, begin);
  return first != pcs_.end() && *first < end;
}

void FrameVariables::add(uint64_t link_pc, FrameFunction function) {
  auto at = std::ranges::lower_bound(pcs_, link_pc);
  if (at == pcs_.end() || *at != link_pc) return;
  uint32_t& known = function_of_[static_cast<size_t>(at - pcs_.begin())];
  if (known != kNone) return;
  known = static_cast<uint32_t>(functions_.size());
  functions_.push_back(std::move(function));
}

const FrameFunction* FrameVariables::find(uint64_t link_pc) const {
  auto at = std::ranges::lower_bound(pcs_, link_pc);
  if (at == pcs_.end() || *at != link_pc) return nullptr;
  const uint32_t known = function_of_[static_cast<size_t>(at - pcs_.begin())];
  return known == kNone ? nullptr : &functions_[known];
}

}  // namespace heapwalk
