// Expected texts that are kept as files in testdata/golden/, to be read and reviewed as a user sees them.
//
// Run the tests with HEAPWALK_UPDATE_GOLDEN=1 to write what the program says now; the difference then shows in review.
#pragma once

#include <string>
#include <string_view>

namespace heapwalk::test {

// Fails the test when testdata/golden/NAME holds another text.
void expect_golden(std::string_view source_dir, std::string_view name, const std::string& text);

}  // namespace heapwalk::test
