// Go, as the analysis asks for it (heapwalk/runtimes/runtime.h).
#pragma once

#include <memory>

#include "heapwalk/runtimes/runtime.h"

namespace heapwalk::go {

std::unique_ptr<Runtime> detect(const CoreDump& dump, Diagnostics& diagnostics);

}  // namespace heapwalk::go
