#include "dump/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace heapwalk {
namespace {

std::string system_reason(int error) {
  return std::generic_category().message(error);
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to returns, and map() refuses it.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return fail("{}: cannot open: {}", path, system_reason(errno));
  auto file = map(descriptor, path);
  ::close(descriptor);
  return file;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::map(int descriptor, const std::string& path) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0) return fail("{}: cannot read its size: {}", path, system_reason(errno));
  if (!S_ISREG(status.st_mode)) return fail("{}: wanted a regular file, found {}", path, kind_of(status.st_mode));

  std::shared_ptr<MappedFile> file(new MappedFile);
  file->modified_seconds_ = status.st_mtime;
  if (status.st_size > 0) {
    auto size = static_cast<uint64_t>(status.st_size);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
    if (data == MAP_FAILED) return fail("{}: cannot map its {} bytes: {}", path, size, system_reason(errno));
    file->data_ = static_cast<const std::byte*>(data);
    file->size_bytes_ = size;
  }
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
}

}  // namespace heapwalk
