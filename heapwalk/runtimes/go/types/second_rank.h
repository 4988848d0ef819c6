// Evidence of second rank, once the typed pointers are exhausted (object_typing.h: paired). Each way is gone over all objects
// without a type, by pieces of the index, and fills one Found per piece.
#pragma once

#include <vector>

#include "heapwalk/runtimes/go/types/lead_judging.h"

namespace heapwalk::go {

// Memory without a type, and words outside of the heap, that look like interfaces or closures (untyped_scan.h).
std::vector<Found> scan_untyped(const TypingTools& tools);
// The only type whose pointers are where the object's are (mask_match.h). Works out plans.
std::vector<Found> match_masks(TypingTools& tools);
// The only type around the parts that pointers lead to (embedding.h). Works out plans.
Found match_hints(TypingTools& tools, const std::vector<Hint>& hints);

}  // namespace heapwalk::go
