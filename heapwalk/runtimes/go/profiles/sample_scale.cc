#include "heapwalk/runtimes/go/profiles/sample_scale.h"

#include <cmath>
#include <limits>

namespace heapwalk::go {
namespace {

// ln 2 in two parts: the first one times a small integer is exact.
constexpr double kLog2E = 1.4426950408889634073599;
constexpr double kLn2High = 0.69314718055966295651160180568695068359375;
constexpr double kLn2Low = 0.28235290563031577122588448175013436025525412068e-12;
constexpr double kSmallest = -700;  // exp(−700) is far from the denormal numbers

#ifdef __clang__
#define HEAPWALK_EXACT
#pragma STDC FP_CONTRACT OFF
#else
#define HEAPWALK_EXACT __attribute__((optimize("fp-contract=off")))
#endif

struct Fused {
  static double multiply_add(double a, double b, double c) { return std::fma(a, b, c); }
};
struct Plain {
  HEAPWALK_EXACT static double multiply_add(double a, double b, double c) {
    const double product = a * b;
    return product + c;
  }
};

template <class Arithmetic>
HEAPWALK_EXACT double shibata_exp(double x) {
  const auto multiply_add = Arithmetic::multiply_add;
  const double n = std::nearbyint(x * kLog2E);
  double r = multiply_add(-n, kLn2High, x);
  r = multiply_add(-n, kLn2Low, r);
  r *= 0.0625;
  double series = 1.0 / 40320;  // the Taylor series of (exp(r) − 1) / r
  for (const double coefficient : {1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0})
    series = multiply_add(series, r, coefficient);
  double e = r * series;
  for (int i = 0; i < 3; ++i) e = e * (e + 2);
  return std::ldexp(multiply_add(e + 2, e, 1.0), static_cast<int>(n));
}

int64_t truncated(double value) {
  if (!(std::abs(value) < 0x1p63)) return std::numeric_limits<int64_t>::min();  // as x86-64 converts what does not fit
  return static_cast<int64_t>(value);
}

}  // namespace

double go_exp(double x, ExpMethod method) {
  if (!(x >= kSmallest)) return 0;
  if (x > -kSmallest) return std::numeric_limits<double>::infinity();
  switch (method) {
    case ExpMethod::fused:
      return shibata_exp<Fused>(x);
    case ExpMethod::plain:
      return shibata_exp<Plain>(x);
    case ExpMethod::library:
      break;
  }
  return std::exp(x);
}

std::pair<int64_t, int64_t> scale_sample(int64_t objects, int64_t bytes, int64_t rate, ExpMethod method) {
  if (objects == 0 || bytes == 0) return {0, 0};
  if (rate <= 1) return {objects, bytes};
  const double average = static_cast<double>(bytes) / static_cast<double>(objects);
  const double scale = 1 / (1 - go_exp(-average / static_cast<double>(rate), method));
  return {truncated(static_cast<double>(objects) * scale), truncated(static_cast<double>(bytes) * scale)};
}

}  // namespace heapwalk::go
