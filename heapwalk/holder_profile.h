// Site × holder as a profile: the run-time's samples of what is on the heap, by the stack that allocated them, with labels that
// say what holds them.
//
//     stack     as in the program's own heap profile, so `list`, `-focus` and the flame graph work as on that one
//     values    inuse_objects, inuse_space: estimates, which add up to that profile's (site_rows.h)
//     holder    what holds it (holders.h)
//     type      of the object
//     path      the way from the root to it, indices and counts left out: "main.cache → entries map<…> → […] Session"
//     bytes     its size, as the heap profile has it
//
//     go tool pprof -tagroot=holder -top …      -tagleaf=type -tree …      -tagfocus=holder=main.cache -list main.fill …
//
// Objects whose paths begin at one root and run through the same types share a path (as in why_type.h); the label is
// that of one of them. Labels that would make the profile too large are "(other)"; no sample is lost.
#pragma once

#include "heapwalk/analysis.h"
#include "heapwalk/own_profile.h"

namespace heapwalk {

// Error: no run-time that samples its allocations is in the process, or it took no samples, and why.
Result<OwnProfile> make_holder_profile(const Analysis& analysis, Diagnostics& diagnostics);

}  // namespace heapwalk
