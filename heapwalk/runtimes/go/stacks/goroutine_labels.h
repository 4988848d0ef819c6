// The labels that a program put on a goroutine (pprof.Do, pprof.SetGoroutineLabels).
//
//     g.labels ─► { List []{Key, Value string} }                Go 1.24 …
//             └─► map[string]string ─► hmap ─► 2^B buckets      Go 1.19 … 1.23
//                                             { tophash[8], keys[8], values[8], overflow ─► … }
//
// Source: Go 1.19 … 1.27 runtime/pprof/label.go (labelMap); 1.19 … 1.23 runtime/map.go.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dump/address_space.h"
#include "heapwalk/runtimes/go/program/layout.h"

namespace heapwalk::go {

// By key. Nothing where `labels` is null or not readable.
std::vector<std::pair<std::string, std::string>> read_goroutine_labels(const AddressSpace& memory, const Layout& layout,
                                                                       Address labels);

}  // namespace heapwalk::go
