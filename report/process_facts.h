// Facts about the process, spelled the way all formats share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dump/base/address.h"
#include "heapwalk/retention_graph.h"

namespace heapwalk {

std::string signal_name(int signal);           // "SIGSEGV", "signal 77"; empty for 0
std::string format_utc_time(int64_t seconds);  // "2026-11-21T05:01:48Z"
std::string_view edge_name(EdgeKind kind);     // "exact", "conservative", "tainted"
std::string format_address(Address address);   // "0x7f…"

}  // namespace heapwalk
