// Pieces that several text documents share: the process line, paths, diagnostics.
#pragma once

#include <cstdint>
#include <span>

#include "heapwalk/analysis.h"
#include "report/output.h"
#include "report/text_table.h"

namespace heapwalk {

// "server (pid 1234) died of SIGSEGV at 0x10 in thread 1240 "worker-3"; core of 812.40MB, 2026-11-21 05:01:48 UTC"
void print_process_line(const Analysis& analysis, Output& output, const TextStyle& style);

// "     g_sessions → +0x10 Node ×250,000 → +0x8 Session": one wrapped line; nothing for a path of one step.
void print_path_line(Output& output, std::span<const PathStep> path);

// "Node", "+0x10 Node", "+0x10 Node ×250,000"
std::string step_text(const PathStep& step);

void print_diagnostics(const Diagnostics& diagnostics, uint64_t limit, Output& output, const TextStyle& style);

}  // namespace heapwalk
