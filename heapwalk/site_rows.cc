#include "heapwalk/site_rows.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace heapwalk {
namespace {

constexpr const char* kNoObject = "no object in use";

// The innermost line of a site.
SiteRow row_of(const OwnProfile& frames, const SampledObjects::Site& site) {
  SiteRow row;
  row.function = "unknown code";
  if (site.locations.empty()) return row;
  const OwnProfile::Location& location = frames.locations[site.locations.front()];
  if (location.lines.empty()) return row;
  const OwnProfile::Line& line = location.lines.front();
  row.function = frames.functions[line.function].name;
  row.file = frames.functions[line.function].file;
  row.line = line.line;
  return row;
}

}  // namespace

std::vector<HeldSamples> group_samples(const Analysis& analysis, const SampledObjects& sampled, Holders& holders) {
  std::vector<HeldSamples> groups;
  std::map<std::pair<uint32_t, uint32_t>, size_t> known;
  for (const SampledObjects::Sample& sample : sampled.samples) {
    const auto object = analysis.objects.find_used(sample.object);
    const NodeId node = object ? analysis.graph.node_of(*object) : kNoNode;
    const uint32_t holder = object ? holders.of(node) : holders.named(kNoObject);
    const auto [at, is_new] = known.try_emplace({sample.site, holder}, groups.size());
    if (is_new) groups.push_back({sample.site, holder, {}});
    groups[at->second].objects.push_back(node);
  }
  std::ranges::stable_sort(groups, {}, &HeldSamples::site);
  return groups;
}

std::pair<int64_t, int64_t> ShareEstimator::add(uint64_t samples) {
  samples_ += samples;
  const auto after = sampled_.estimate(samples_, samples_ * size_bytes_);
  auto less = [](int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  };
  const std::pair share(less(after.first, before_.first), less(after.second, before_.second));
  before_ = after;
  return share;
}

std::vector<SiteRow> site_rows(const Analysis& analysis, Diagnostics& diagnostics) {
  std::vector<SiteRow> rows;
  for (const auto& runtime : analysis.runtimes) {
    const auto sampled = runtime->sampled_objects(diagnostics);
    if (!sampled) continue;
    Holders holders(analysis);
    std::map<std::tuple<std::string, std::string, uint64_t, uint32_t>, size_t> known;
    const std::vector<HeldSamples> groups = group_samples(analysis, *sampled, holders);
    std::optional<ShareEstimator> shares;
    for (size_t i = 0; i < groups.size(); ++i) {
      const HeldSamples& group = groups[i];
      if (i == 0 || groups[i - 1].site != group.site) shares.emplace(*sampled, group.site);
      SiteRow row = row_of(sampled->frames, sampled->sites[group.site]);
      const auto [at, is_new] = known.try_emplace({row.function, row.file, row.line, group.holder}, rows.size());
      if (is_new) {
        row.holder = holders.name(group.holder);
        rows.push_back(std::move(row));
      }
      const auto [objects, bytes] = shares->add(group.objects.size());
      SiteRow& sum = rows[at->second];
      sum.estimated_objects += static_cast<uint64_t>(objects);
      sum.estimated_bytes += static_cast<uint64_t>(bytes);
      sum.samples += group.objects.size();
    }
  }
  std::ranges::stable_sort(rows, std::greater{}, &SiteRow::estimated_bytes);
  return rows;
}

}  // namespace heapwalk
