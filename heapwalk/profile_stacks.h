// The analysis as stacks with weights, the shape every profile viewer understands.
//
// Two views of the same used bytes, each additive:
//   by dominator: stack = the dominator chain of the object, leaf first; value = shallow bytes, so that a viewer's own
//                 cumulative value is the retained size;
//   by path:      stack = the shortest path from a root.
//
//     object ──► Node              leaf: the object's type
//     idom   ──► Node.(shared)     only where the idom does not refer to the object itself
//                Session
//     root   ──► [global] ns::g    a root variable; [shared] where several roots hold it, [unreachable] T where none does
//
// Objects stream by in the reachability order (parents and dominators first), and each finds its place in a prefix tree below
// its predecessor's: one hash look-up and 4 bytes per node and view, no stack is ever spelled out. Stacks are
// loop-erased: a frame that repeats leads back to its first occurrence, so a list of any length is one node.
// When there are more stacks than samples wanted, the smallest subtrees fold into an "(other)" frame under the same
// parent; no byte is lost: each view sums to the used bytes and objects.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace heapwalk {

struct Analysis;

struct ProfileFrame {
  std::string name;      // "[global] ns::cache", "Session", "Session.history", "[unreachable] Session"
  std::string filename;  // empty when unknown
  int64_t start_line = 0;
  int64_t line = 0;
  friend bool operator==(const ProfileFrame&, const ProfileFrame&) = default;
};

struct ProfileLabels {  // low cardinality, the same from run to run; empty or 0: not set
  std::string root_kind;
  std::string allocator;
  std::string thread;             // of stack roots: the thread's name
  uint64_t size_class_bytes = 0;  // the object's size, rounded up to a power of two
};

struct ProfileSample {
  std::vector<uint32_t> frames;  // indices into ProfileStacks::frames, leaf first
  uint64_t objects = 0;
  uint64_t bytes = 0;
  ProfileLabels labels;
};

struct ProfileStacks {
  std::vector<ProfileFrame> frames;
  std::vector<ProfileSample> by_dominator;
  std::vector<ProfileSample> by_path;
};

// All stacks of an analysis, folded. Built once; take() then cuts it to any number of samples in little time.
class FoldedStacks {
 public:
  FoldedStacks(const Analysis& analysis, size_t threads);
  ~FoldedStacks();
  FoldedStacks(FoldedStacks&&) noexcept;

  // At most `max_samples` in both views together (and at least one in each view that is not empty).
  ProfileStacks take(size_t max_samples) const;

 private:
  struct Data;
  std::unique_ptr<const Data> data_;
};

}  // namespace heapwalk
