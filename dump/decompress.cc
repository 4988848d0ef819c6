#include "dump/decompress.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <system_error>

#include "dump/archive_stream.h"

namespace heapwalk {
namespace {

constexpr size_t kPage = 4096;
// What stays free in the temporary directory: a hostile stream shall not fill the disk (or, on a tmpfs, the memory).
constexpr uint64_t kReserveBytes = 64U << 20;
constexpr uint64_t kCheckSpaceEvery = 16U << 20;

constexpr std::array<unsigned char, 4> kZstd = {0x28, 0xb5, 0x2f, 0xfd};
constexpr std::array<unsigned char, 4> kLz4 = {0x04, 0x22, 0x4d, 0x18};
constexpr std::array<unsigned char, 4> kLz4Legacy = {0x02, 0x21, 0x4c, 0x18};
constexpr std::array<unsigned char, 6> kXz = {0xfd, '7', 'z', 'X', 'Z', 0x00};
constexpr std::array<unsigned char, 2> kGzip = {0x1f, 0x8b};
constexpr std::array<unsigned char, 3> kBzip2 = {'B', 'Z', 'h'};

template <size_t N>
bool begins_with(Bytes file, const std::array<unsigned char, N>& magic) {
  return file.size() >= N && std::memcmp(file.data(), magic.data(), N) == 0;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string temporary_directory() {
  const char* directory = std::getenv("TMPDIR");
  return directory != nullptr && *directory != '\0' ? directory : "/tmp";
}

int open_unnamed_file(const std::string& directory) {
  int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  std::string name = directory + "/heapwalk-XXXXXX";  // a file system without O_TMPFILE
  fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd >= 0) ::unlink(name.c_str());
  return fd;
}

// The temporary file while it grows. Zero pages are skipped, and become holes when the size is set at the end.
class SparseWriter {
 public:
  explicit SparseWriter(int fd) : fd_(fd) {}

  // False, with a reason, when no more can be written.
  bool write(Bytes block) {
    while (!block.empty()) {
      Bytes page = block.first(std::min(block.size(), kPage - size_ % kPage));
      if (!is_zero(page) && !write_all(page)) return false;
      size_ += page.size();
      block = block.subspan(page.size());
    }
    return true;
  }

  bool finish() { return ::ftruncate(fd_, static_cast<off_t>(size_)) == 0; }
  uint64_t size() const { return size_; }
  const std::string& reason() const { return reason_; }

 private:
  static bool is_zero(Bytes bytes) {
    return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
  }

  bool write_all(Bytes page) {
    if (written_ >= next_check_ && !has_space()) return false;
    for (size_t done = 0; done < page.size();) {
      ssize_t n = ::pwrite(fd_, page.data() + done, page.size() - done, static_cast<off_t>(size_ + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        reason_ = std::generic_category().message(errno);
        return false;
      }
      done += static_cast<size_t>(n);
    }
    written_ += page.size();
    return true;
  }

  bool has_space() {
    next_check_ = written_ + kCheckSpaceEvery;
    struct statvfs status;
    if (::fstatvfs(fd_, &status) != 0) return true;
    if (static_cast<uint64_t>(status.f_bavail) * status.f_frsize >= kReserveBytes + kCheckSpaceEvery) return true;
    reason_ = "the temporary directory is nearly full";
    return false;
  }

  int fd_;
  uint64_t size_ = 0;
  uint64_t written_ = 0;
  uint64_t next_check_ = 0;
  std::string reason_;
};

// Copies the stream until it ends (empty result) or for a reason that is returned.
std::string copy_stream(ArchiveStream& stream, SparseWriter& writer) {
  for (;;) {
    const Result<Bytes> block = stream.next();
    if (!block) return block.error().message;
    if (block->empty()) return {};
    if (writer.size() == 0 && block->size() >= 4 &&
        std::memcmp(block->data(),
                    "\x7f"
                    "ELF",
                    4) != 0) {
      writer.write(block->first(std::min(block->size(), kPage)));  // enough to say what it is instead of an ELF file
      return {};
    }
    if (!writer.write(*block)) return writer.reason();
  }
}

}  // namespace

bool is_compressed(Bytes file) {
  return begins_with(file, kZstd) || begins_with(file, kLz4) || begins_with(file, kLz4Legacy) ||
         begins_with(file, kXz) || begins_with(file, kGzip) || begins_with(file, kBzip2);
}

Result<std::shared_ptr<const MappedFile>> decompress(const std::string& path, Bytes compressed,
                                                     Diagnostics& diagnostics) {
  Result<ArchiveStream> stream = ArchiveStream::open(compressed);
  if (!stream) return fail("{}: compressed stream at 0x0: {}", path, stream.error().message);
  if (stream->compressions() > 1)  // streams in streams are no core files
    return fail("{}: compressed stream at 0x0: wanted one compression, found {} inside each other", path,
                stream->compressions());

  std::string directory = temporary_directory();
  Descriptor descriptor(open_unnamed_file(directory));
  if (descriptor.get() < 0)
    return fail("{}: cannot make a temporary file in {} to decompress into: {}", path, directory,
                std::generic_category().message(errno));
  SparseWriter writer(descriptor.get());
  std::string stopped = copy_stream(*stream, writer);
  if (writer.size() == 0)
    return fail("{}: compressed stream: wanted an ELF core file, found 0 bytes{}{}", path, stopped.empty() ? "" : ": ",
                stopped);
  if (!writer.finish())
    return fail("{}: cannot set the size of the temporary file in {}: {}", path, directory,
                std::generic_category().message(errno));
  if (!stopped.empty())
    diagnostics.add("truncated_core",
                    fmt::format("{}: decompression stopped after {} bytes: {}", path, writer.size(), stopped));
  return MappedFile::map(descriptor.get(), path);
}

}  // namespace heapwalk
