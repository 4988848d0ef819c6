// What typing reads, and what grows as it comes upon types (object_typing.h). Nothing of it changes while workers read.
#pragma once

#include "heapwalk/runtimes/go/heap/span_index.h"
#include "heapwalk/runtimes/go/types/claim_judge.h"
#include "heapwalk/runtimes/go/types/closure_structs.h"
#include "heapwalk/runtimes/go/types/closure_types.h"
#include "heapwalk/runtimes/go/types/kind_table.h"
#include "heapwalk/runtimes/go/types/value_walk.h"

namespace heapwalk::go {

struct TypingTools {
  // Both outlive this.
  TypingTools(const TypingInputs& from, GoTypes& all)
      : inputs(from),
        memory(from.dump.memory),
        layout(from.heap.process().layout),
        types(all),
        spans(from.heap.spans()),
        masks(memory, layout),
        plans(types, masks),
        dynamic(memory, layout, types),
        closures(types, inputs.functions, inputs.captured,
                 match_closure_structs(memory, inputs.heap.process(), inputs.functions, types.closure_structs())),
        kinds(typing.kinds, plans),
        walk(memory, layout, types, plans, dynamic),
        judge(inputs, spans, plans, closures, typing) {}
  TypingTools(const TypingTools&) = delete;
  TypingTools& operator=(const TypingTools&) = delete;

  const TypingInputs& inputs;
  const AddressSpace& memory;
  const Layout& layout;
  GoTypes& types;
  SpanIndex spans;
  PointerMasks masks;
  WalkPlans plans;
  DynamicTypes dynamic;
  ClosureTypes closures;
  ObjectTyping typing;  // the result
  KindTable kinds;
  ValueWalk walk;
  ClaimJudge judge;
};

}  // namespace heapwalk::go
