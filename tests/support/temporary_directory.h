// A directory for a test's files, removed with everything in it at the end of the scope.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace heapwalk::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // The full name of a file in it.
  std::string file(std::string_view name) const { return (path_ / name).string(); }
  // Writes the file and returns its full name.
  std::string write(std::string_view name, std::span<const std::byte> content) const;
  std::string write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

}  // namespace heapwalk::test
