// The exp() of the heap profile's estimates: bit for bit what Go's math.Exp gives on x86-64, with FMA and without it
// (GODEBUG=cpu.fma=off). The values were printed by a Go 1.26 program; std::exp differs in the last bit of several.
#include "heapwalk/runtimes/go/profiles/sample_scale.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace heapwalk::go {
namespace {

struct Known {
  double size, rate;
  uint64_t fused, plain;
};

constexpr Known kKnown[] = {
    {8, 524288, 0x3fefffe0000ffffb, 0x3fefffe0000ffffb},    {16, 524288, 0x3fefffc0003fffd5, 0x3fefffc0003fffd5},
    {757, 524288, 0x3feff42e2f595315, 0x3feff42e2f595315},  {797, 524288, 0x3feff38e6c01cffd, 0x3feff38e6c01cffe},
    {1027, 524288, 0x3fefeff8055629c8, 0x3fefeff8055629c8}, {1897, 524288, 0x3fefe269b6082d97, 0x3fefe269b6082d98},
    {48, 4096, 0x3fefa08f706bbf54, 0x3fefa08f706bbf54},     {1024, 4096, 0x3fe8ebef9eac820b, 0x3fe8ebef9eac820b},
    {40960, 4096, 0x3f07cd79b5647c9b, 0x3f07cd79b5647c9b},  {99999, 1000, 0x36ea92ebc244973c, 0x36ea92ebc244973c},
    {64, 65536, 0x3feff800ffeaac00, 0x3feff800ffeaac00},    {8192, 2097152, 0x3fefe00ffaabffbc, 0x3fefe00ffaabffbc},
};

TEST(SampleScale, ExpIsGosExp) {
  size_t unlike_library = 0, unlike_each_other = 0;
  for (const Known& known : kKnown) {
    const double x = -known.size / known.rate;
    EXPECT_EQ(std::bit_cast<uint64_t>(go_exp(x, ExpMethod::fused)), known.fused) << x;
    EXPECT_EQ(std::bit_cast<uint64_t>(go_exp(x, ExpMethod::plain)), known.plain) << x;
    EXPECT_EQ(go_exp(x, ExpMethod::library), std::exp(x));
    EXPECT_NEAR(go_exp(x, ExpMethod::fused) / std::exp(x), 1, 1e-15);
    unlike_library += std::bit_cast<uint64_t>(std::exp(x)) != known.fused;
    unlike_each_other += known.fused != known.plain;
  }
  EXPECT_GT(unlike_library, 0U);
  EXPECT_GT(unlike_each_other, 0U);
}

// What a damaged core may ask for.
TEST(SampleScale, ExtremesAreDefined) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(go_exp(-1e300, ExpMethod::fused), 0);
  EXPECT_EQ(go_exp(std::nan(""), ExpMethod::fused), 0);
  EXPECT_EQ(go_exp(1e300, ExpMethod::plain), kInfinity);
  EXPECT_EQ(go_exp(0, ExpMethod::fused), 1);
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();
  for (int64_t objects : {kMin, int64_t{-1}, int64_t{1}, kMax})
    for (int64_t bytes : {kMin, int64_t{-1}, int64_t{1}, kMax})
      for (int64_t rate : {kMin, int64_t{0}, int64_t{2}, kMax}) scale_sample(objects, bytes, rate, ExpMethod::fused);
}

TEST(SampleScale, EstimatesAreTruncated) {
  using Pair = std::pair<int64_t, int64_t>;
  EXPECT_EQ(scale_sample(0, 0, 524288, ExpMethod::fused), (Pair{0, 0}));
  EXPECT_EQ(scale_sample(3, 48, 1, ExpMethod::fused), (Pair{3, 48}));
  EXPECT_EQ(scale_sample(3, 48, 0, ExpMethod::fused), (Pair{3, 48}));
  // 1 / (1 − exp(−1)) = 1.5819767…
  EXPECT_EQ(scale_sample(1000, 1000 * 524288, 524288, ExpMethod::fused), (Pair{1581, 829411403}));
  EXPECT_EQ(scale_sample(-1000, -1000 * 524288, 524288, ExpMethod::fused), (Pair{-1581, -829411403}));
}

}  // namespace
}  // namespace heapwalk::go
