#include "heapwalk/runtimes/go/types/lead_judging.h"

#include <algorithm>

namespace heapwalk::go {
namespace {

// Package variables without a name, and what functions keep on their stacks.
bool is_static(const Heap& heap, Address address) {
  for (const ModuleData& module : heap.process().modules) {
    for (AddressRange range : {module.data.range, module.bss.range, module.noptrdata, module.noptrbss}) {
      if (range.contains(address)) return true;
    }
  }
  const Span* span = heap.find(address);
  return span != nullptr && span->state == SpanState::manual;
}

void judge_one(const TypingTools& tools, const Lead& lead, const Located& located, Found& found) {
  if (lead.how == Lead::How::unknown) {
    found.unknown.push_back(lead);
  } else if (located.span != nullptr) {
    const auto claim = tools.judge.judge(lead, located, found.doubts);
    if (!claim) return;
    const uint16_t kind = claim->is_new_closure ? uint16_t{0} : tools.kinds.find(claim->kind);
    if (kind == 0) {
      found.rare.push_back(*claim);
    } else {
      found.claims[share_of(claim->object)].push_back({claim->start, claim->object, kind});
    }
  } else if (const WalkPlan* plan = lead.type == kNoType ? nullptr : tools.plans.find(lead.type);
             plan != nullptr && !plan->places.empty() && is_static(tools.inputs.heap, lead.value)) {
    found.statics.push_back({lead.value, lead.type, lead.count});
  }
}

}  // namespace

void judge_leads(const TypingTools& tools, Found& found) {
  constexpr size_t kTogether = 32;  // leads that wait for memory together
  std::array<Located, kTogether> located;
  for (size_t begin = 0; begin < found.leads.size(); begin += kTogether) {
    const auto leads = std::span(found.leads).subspan(begin, std::min(kTogether, found.leads.size() - begin));
    tools.judge.locate(leads, located.data());
    for (size_t i = 0; i < leads.size(); ++i) judge_one(tools, leads[i], located[i], found);
  }
  found.leads.clear();
}

}  // namespace heapwalk::go
