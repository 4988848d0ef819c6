// A file that is written whole or not at all.
//
// Text goes to a temporary file in the same directory, which takes the final name in one step once everything is on disk;
// on any error it is removed and what was there before stays. Where the name is no regular file (a pipe, /dev/null)
// there is nothing to replace, and the text is written straight to it.
#pragma once

#include <functional>
#include <string>

#include "dump/base/result.h"
#include "report/output.h"

namespace heapwalk::cli {

// Standard output for "" and "-". `write` fills the document. An error names the file.
// A reader of standard output that has seen enough and went away is no error.
Result<void> write_output(const std::string& path, const std::function<void(Output&)>& write);

// Whether an output could be created there, asked before a long analysis.
Result<void> check_output(const std::string& path);

// Both names lead to one existing file.
bool is_same_file(const std::string& a, const std::string& b);

}  // namespace heapwalk::cli
