// What must hold at an address before it is taken for a certain run-time variable.
//
// The code of the program says which addresses a variable may have (variable_search.h); what stands there in the core
// has to agree. Lists, tables and slices of the run-time prove themselves: a list of profile buckets is one of buckets with
// the right type and stacks of return addresses. A number cannot do that: it can only be possible, and consistent with
// variables that are known already.
//
// Source: Go 1.19 … 1.27 runtime/mfinal.go, mcleanup.go, mprof.go, mstats.go, mgc.go, mgcpacer.go, proc.go, sema.go, iface.go,
// runtime1.go (dbgvars), runtime2.go.
#pragma once

#include <optional>
#include <string_view>

#include "heapwalk/runtimes/go/program/process.h"

namespace heapwalk::go {

enum class Verdict : uint8_t {
  no,
  empty,     // zero, as the variable may be: of several such places it makes no difference which one is read
  possible,  // a value that the variable may have
  proved,    // a structure that nothing else has
};

struct Evidence {
  const AddressSpace& memory;
  const Process& process;
  const FoundVariables& found;  // so far
};

using Proof = Verdict (*)(const Evidence&, Address);

Verdict proves_finalizer_queue(const Evidence&, Address);
Verdict proves_cleanup_queue(const Evidence&, Address);
Verdict proves_goroutines(const Evidence&, Address);
Verdict proves_threads(const Evidence&, Address);
Verdict proves_processors(const Evidence&, Address);
Verdict proves_scheduler(const Evidence&, Address);
Verdict proves_semaphores(const Evidence&, Address);
Verdict proves_wait_reasons(const Evidence&, Address);
Verdict proves_itab_table(const Evidence&, Address);
Verdict proves_statistics(const Evidence&, Address);
Verdict proves_controller(const Evidence&, Address);
Verdict proves_collector_work(const Evidence&, Address);
Verdict proves_memory_buckets(const Evidence&, Address);
Verdict proves_block_buckets(const Evidence&, Address);
Verdict proves_mutex_buckets(const Evidence&, Address);
Verdict proves_profile_cycle(const Evidence&, Address);
Verdict proves_profile_switch(const Evidence&, Address);
Verdict proves_settings(const Evidence&, Address);
Verdict proves_flag(const Evidence&, Address);              // a byte, 0 or 1
Verdict proves_finalizer_status(const Evidence&, Address);  // 32 bits, four flags
Verdict proves_count(const Evidence&, Address);             // 64 bits, not negative

// The list of what GODEBUG can set (runtime.dbgvars) leads to each setting: where the structure of all begins.
std::optional<Address> settings_of(const Evidence&, Address list);

}  // namespace heapwalk::go
