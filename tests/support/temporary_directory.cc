#include "tests/support/temporary_directory.h"

#include <cstdlib>
#include <fstream>
#include <system_error>

namespace heapwalk::test {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "heapwalk-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();  // nothing can be tested without a place for files
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::write(std::string_view name, std::span<const std::byte> content) const {
  return write(name, std::string_view(reinterpret_cast<const char*>(content.data()), content.size()));
}

std::string TemporaryDirectory::write(std::string_view name, std::string_view content) const {
  std::string full = file(name);
  std::ofstream out(full, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!out.flush()) std::abort();
  return full;
}

}  // namespace heapwalk::test
