#include "graft/kernels/cpu/indirect_conv.h"

#include <algorithm>
#include <cstring>

namespace graft::cpu {
namespace {

constexpr int64_t kReduction =
    1024;  // reduced per pass over a block: longer than L1 holds, but each pass re-reads the sums
constexpr int64_t kShortReduction = 256;
constexpr int64_t kGroupElements =
    65536;  // of b's panels that short reductions go through row by row: 256 KiB in L2
constexpr int64_t kRows = 192;  // of a block: its input (768 KiB at kReduction) stays in L2

// A part of the reduction: whole taps, or a range of one tap's channels.
struct ReductionBlock {
  int64_t first_tap, taps, first_channel, channels;
};

// How one problem is cut into jobs. Only the order of work depends on it, never a sum.
template <class T>
struct Schedule {
  const IndirectConv<T>* problem;
  std::vector<ReductionBlock> reduction;
  int64_t segment;         // elements of a tap's run: merged * channels
  int64_t packed_segment;  // the same in b
  int64_t rows, block_rows, row_blocks;
  int64_t panels, block_panels, panel_blocks;
  int64_t first_job;
  int64_t jobs() const { return row_blocks * panel_blocks; }
};

std::vector<ReductionBlock> reduction_blocks(int64_t taps, int64_t segment, bool whole) {
  std::vector<ReductionBlock> blocks;
  if (taps * segment == 0)
    return {{0, 0, 0, 0}};  // nothing to add up: zeros are still to be written
  if (whole) return {{0, taps, 0, segment}};
  if (segment > kReduction) {
    const int64_t parts = ceil_div(segment, kReduction),
                  step = round_up(ceil_div(segment, parts), 8);
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t c = 0; c < segment; c += step)
        blocks.push_back({t, 1, c, std::min(step, segment - c)});
  } else {
    const int64_t most = kReduction / segment;
    const int64_t step = ceil_div(taps, ceil_div(taps, most));
    for (int64_t t = 0; t < taps; t += step)
      blocks.push_back({t, std::min(step, taps - t), 0, segment});
  }
  return blocks;
}

template <class T>
Schedule<T> schedule(const KernelTable<T>& table, const IndirectConv<T>& problem, int threads,
                     size_t problems) {
  Schedule<T> s{};
  s.problem = &problem;
  s.segment = problem.merged * problem.channels;
  s.packed_segment = round_up(s.segment, table.k_step);
  s.reduction =
      reduction_blocks(static_cast<int64_t>(problem.taps.size()), s.segment, table.k_step > 1);
  s.rows = problem.batch * problem.grid_h * problem.grid_w;
  s.block_rows = block_rows(table, problem);
  s.row_blocks = ceil_div(s.rows, s.block_rows);
  s.panels = ceil_div(problem.out_channels, table.nr);
  // Few rows: the columns are shared out too.
  const int64_t wanted = ceil_div(8 * threads, static_cast<int64_t>(problems));
  s.panel_blocks = std::min(
      s.panels, std::max<int64_t>(1, ceil_div(wanted, std::max<int64_t>(s.row_blocks, 1))));
  s.block_panels = ceil_div(s.panels, std::max<int64_t>(s.panel_blocks, 1));
  s.panel_blocks = s.block_panels ? ceil_div(s.panels, s.block_panels) : 0;
  return s;
}

// The tables of one block of rows: where every tap of every row starts, and where its result goes.
template <class T>
class RowTables {
 public:
  RowTables(const IndirectConv<T>& problem, int64_t first_row, int64_t count, const T* zeros)
      : problem_(problem),
        count_(count),
        pointers_(std::max<int64_t>(1, count * taps())),
        offsets_(count),
        copied_(problem.merged > 1 ? merged_copy_size(first_row, count) + kSlack : 0) {
    const int64_t plane = problem.grid_h * problem.grid_w;
    int64_t n = first_row / plane, i = first_row % plane / problem.grid_w,
            j = first_row % problem.grid_w;
    for (int64_t m = 0; m < count; ++m) {
      offsets_.data()[m] = n * problem.out_sample + i * problem.out_row + j * problem.out_pixel;
      if (problem.merged > 1)
        point_into_copy(m, n, i, j, zeros);
      else
        point_into_input(m, n, i, j, zeros);
      if (++j == problem.grid_w) {
        j = 0;
        if (++i == problem.grid_h) i = 0, ++n;
      }
    }
  }

  const T* const* pointers(int64_t tap, int64_t row) const {
    return pointers_.data() + tap * count_ + row;
  }
  int64_t count() const { return count_; }
  const int64_t* offsets(int64_t row) const { return offsets_.data() + row; }

 private:
  int64_t taps() const { return static_cast<int64_t>(problem_.taps.size()); }

  void point_into_input(int64_t m, int64_t n, int64_t i, int64_t j, const T* zeros) {
    const T* sample = problem_.in + n * problem_.in_h * problem_.in_w * problem_.in_pixel;
    const int64_t h0 = i * problem_.step_h, w0 = j * problem_.step_w;
    const T** to = pointers_.data() + m;
    for (const Tap& tap : problem_.taps) {
      const int64_t h = h0 + tap.h, w = w0 + tap.w;
      const bool inside = h >= 0 && h < problem_.in_h && w >= 0 && w < problem_.in_w;
      *to = inside ? sample + (h * problem_.in_w + w) * problem_.in_pixel : zeros;
      to += count_;
    }
  }

  // With merged taps the rows of input that the block needs are copied with their horizontal
  // padding, each once.
  int64_t padded_width() const {
    return ((problem_.grid_w - 1) * problem_.step_w + problem_.merged) * problem_.channels;
  }
  int64_t first_tap_h() const { return problem_.taps.front().h; }
  int64_t last_tap_h() const { return problem_.taps.back().h; }

  int64_t merged_copy_size(int64_t first_row, int64_t count) const {
    const int64_t lines =
        (first_row + count - 1) / problem_.grid_w - first_row / problem_.grid_w + 1;
    const int64_t per_line = std::min(problem_.step_h, last_tap_h() - first_tap_h() + 1);
    // Every sample that the block touches starts a run of input rows of its own.
    const int64_t plane = problem_.grid_h * problem_.grid_w;
    const int64_t samples = (first_row + count - 1) / plane - first_row / plane + 1;
    return (lines * per_line + samples * (last_tap_h() - first_tap_h() + 1)) * padded_width();
  }

  void point_into_copy(int64_t m, int64_t n, int64_t i, int64_t j, const T* zeros) {
    if (n != sample_ || i != line_) copy_line(n, i);
    const T** to = pointers_.data() + m;
    for (const Tap& tap : problem_.taps) {
      const int64_t h = i * problem_.step_h + tap.h;
      const bool inside = h >= 0 && h < problem_.in_h;
      *to = inside ? copied_.data() + slots_[static_cast<size_t>(h - slots_from_)] +
                         j * problem_.step_w * problem_.channels
                   : zeros;
      to += count_;
    }
  }

  void copy_line(int64_t n, int64_t i) {
    const int64_t low = i * problem_.step_h + first_tap_h(),
                  high = i * problem_.step_h + last_tap_h();
    if (n != sample_) slots_.clear(), slots_from_ = low;
    sample_ = n, line_ = i;
    for (int64_t h = slots_from_ + static_cast<int64_t>(slots_.size()); h <= high; ++h) {
      slots_.push_back(-1);
      const bool wanted = h >= low && h >= 0 && h < problem_.in_h;
      if (!wanted) continue;
      slots_.back() = used_;
      copy_row(n, h, copied_.data() + used_);
      used_ += padded_width();
      std::fill_n(copied_.data() + used_, kSlack, T(0));
    }
  }

  void copy_row(int64_t n, int64_t h, T* to) const {
    const int64_t width = padded_width() / problem_.channels, left = problem_.taps.front().w;
    const T* row = problem_.in + (n * problem_.in_h + h) * problem_.in_w * problem_.in_pixel;
    const int64_t begin = std::clamp<int64_t>(-left, 0, width),
                  end = std::clamp(problem_.in_w - left, begin, width);
    std::fill(to, to + begin * problem_.channels, T(0));
    if (problem_.in_pixel == problem_.channels) {
      std::copy(row + (begin + left) * problem_.channels, row + (end + left) * problem_.channels,
                to + begin * problem_.channels);
    } else {
      for (int64_t p = begin; p < end; ++p)
        std::copy_n(row + (p + left) * problem_.in_pixel, problem_.channels,
                    to + p * problem_.channels);
    }
    std::fill(to + end * problem_.channels, to + width * problem_.channels, T(0));
  }

  const IndirectConv<T>& problem_;
  int64_t count_;
  Scratch<const T*> pointers_;
  Scratch<int64_t> offsets_;
  Scratch<T> copied_;
  int64_t used_ = 0;
  static constexpr int64_t kSlack =
      8;  // behind the last copy, zero: kernels that work in pairs read one element more
  int64_t sample_ = -1, line_ = -1;
  std::vector<int64_t> slots_;  // of input rows from slots_from_ on: where their copies start
  int64_t slots_from_ = 0;
};

// Rows [begin, end) of a block times one panel, whose packed weights are b, over one part of the
// reduction.
template <class T>
void run_panel(const KernelTable<T>& table, const Schedule<T>& s, const RowTables<T>& tables,
               size_t r, int64_t panel, const T* b, int64_t begin, int64_t end) {
  const IndirectConv<T>& p = *s.problem;
  const ReductionBlock& block = s.reduction[r];
  const int64_t column = panel * table.nr;
  TileArgs<T> tile{};
  tile.rows_stride = tables.count();
  tile.row_offset = block.first_channel;
  tile.segments = block.taps;
  tile.length = block.channels;
  tile.b = b + (block.first_tap * s.packed_segment + block.first_channel) * table.nr;
  tile.b_stride = table.nr;
  tile.b_segment = s.packed_segment * table.nr;
  tile.out = p.out + column;
  tile.columns = std::min<int64_t>(table.nr, p.out_channels - column);
  tile.accumulate = r > 0;
  tile.finish = r + 1 == s.reduction.size();
  tile.bias = p.bias ? p.bias + column : nullptr;
  tile.residual = p.residual ? p.residual + column : nullptr;
  tile.activation = p.activation;
  for (int64_t m = begin; m < end; m += table.mr) {
    tile.rows = tables.pointers(block.first_tap, m);
    tile.out_offsets = tables.offsets(m);
    const int64_t rows = std::min<int64_t>(table.mr, end - m);
    tile.rows_ahead =
        block.taps == 1 && end - begin <= table.mr && m + 2 * table.mr <= tables.count()
            ? tables.pointers(block.first_tap, m + table.mr)
            : nullptr;
    for (int64_t i = 0; i < rows; ++i)
      __builtin_prefetch(tile.out + tile.out_offsets[i] + table.nr, 1, 3);
    table.tile[rows](tile);
  }
}

template <>
void run_panel(const KernelTable<U8>& table, const Schedule<U8>& s, const RowTables<U8>& tables,
               size_t, int64_t panel, const U8* b, int64_t begin, int64_t end) {
  const IndirectConv<U8>& p = *s.problem;
  TileArgs<U8> tile{};
  tile.rows_stride = tables.count();
  tile.segments = static_cast<int64_t>(p.taps.size());
  tile.length = p.channels;
  tile.b = reinterpret_cast<const int8_t*>(b);
  tile.b_segment = s.packed_segment * table.nr;
  tile.column = panel * table.nr;
  tile.columns = std::min<int64_t>(table.nr, p.out_channels - tile.column);
  tile.finish = p.finish;
  for (int64_t m = begin; m < end; m += table.mr) {
    tile.rows = tables.pointers(0, m);
    tile.out_offsets = tables.offsets(m);
    table.tile[std::min<int64_t>(table.mr, end - m)](tile);
  }
}

template <class T>
void run_sums(const KernelTable<T>& table, const Schedule<T>& s, int64_t first_row, int64_t rows,
              int64_t first_panel, int64_t last_panel, const T* zeros) {
  const IndirectConv<T>& p = *s.problem;
  const int64_t depth = static_cast<int64_t>(p.taps.size()) * s.packed_segment;
  const RowTables<T> tables(p, first_row, rows, zeros);
  if (!p.packed) {
    const Scratch<T> packed(depth * table.nr);
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      pack_panel(table, *p.source, panel, packed.data());
      for (size_t r = 0; r < s.reduction.size(); ++r)
        run_panel(table, s, tables, r, panel, packed.data(), 0, rows);
    }
    return;
  }
  // Short sums: rows of output are completed one after another while all of b stays in the
  // second-level cache. Long ones: a panel of b stays in the first-level cache while the rows go
  // by.
  const bool by_rows = s.reduction.size() == 1 && depth <= kShortReduction;
  const int64_t group = by_rows ? std::max<int64_t>(
                                      1, kGroupElements / std::max<int64_t>(1, depth * table.nr))
                                : 1,
                step = by_rows ? table.mr : rows;
  for (size_t r = 0; r < s.reduction.size(); ++r)
    for (int64_t first = first_panel; first < last_panel; first += group)
      for (int64_t row = 0; row < rows; row += step)
        for (int64_t panel = first; panel < std::min(last_panel, first + group); ++panel)
          run_panel(table, s, tables, r, panel, p.packed + panel * depth * table.nr, row,
                    std::min(rows, row + step));
}

// The map of a block's results while the cache has them.
template <class T>
void map_block(ExecContext& context, const IndirectConv<T>& p, int64_t first_row, int64_t rows,
               int64_t begin, int64_t end) {
  const auto map = map_kernels_for<T>(context).map;
  if (end - begin == p.out_pixel) {
    T* block = p.out + first_row * p.out_pixel;
    return map(*p.map, block, rows * p.out_pixel, block);
  }
  for (int64_t row = first_row; row < first_row + rows; ++row) {
    T* pixel = p.out + row * p.out_pixel + begin;
    map(*p.map, pixel, end - begin, pixel);
  }
}

template <class T>
void run_block(ExecContext& context, const KernelTable<T>& table, const Schedule<T>& s,
               int64_t row_block, int64_t panel_block, const T* zeros) {
  const IndirectConv<T>& p = *s.problem;
  const int64_t first_row = row_block * s.block_rows,
                rows = std::min(s.block_rows, s.rows - first_row);
  const int64_t first_panel = panel_block * s.block_panels,
                last_panel = std::min(s.panels, first_panel + s.block_panels);
  run_sums(table, s, first_row, rows, first_panel, last_panel, zeros);
  const int64_t begin = first_panel * table.nr,
                end = std::min(p.out_channels, last_panel * table.nr);
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, Bf16>)
    if (p.map) map_block(context, p, first_row, rows, begin, end);
  if constexpr (!std::is_same_v<T, U8>) {
    if (!p.moments) return;
    channel_kernels_for<T>(context).moments(
        p.out + first_row * p.out_channels + begin, rows, p.out_channels, end - begin,
        p.moments->means(row_block) + begin, p.moments->squares(row_block) + begin);
  }
}

}  // namespace

bool sums_in_one_run(int64_t terms) { return terms <= kReduction; }

template <class T>
int64_t block_rows(const KernelTable<T>& table, const IndirectConv<T>& problem) {
  const int64_t rows = problem.batch * problem.grid_h * problem.grid_w;
  return round_up(ceil_div(rows, ceil_div(rows, kRows)), table.mr);
}
template int64_t block_rows(const KernelTable<float>&, const IndirectConv<float>&);
template int64_t block_rows(const KernelTable<double>&, const IndirectConv<double>&);
template int64_t block_rows(const KernelTable<Bf16>&, const IndirectConv<Bf16>&);
template int64_t block_rows(const KernelTable<U8>&, const IndirectConv<U8>&);

template <class T>
bool packs_while_running(const IndirectConv<T>& p) {
  return p.batch * p.grid_h * p.grid_w <= kRows;
}
template bool packs_while_running(const IndirectConv<float>&);
template bool packs_while_running(const IndirectConv<double>&);
template bool packs_while_running(const IndirectConv<Bf16>&);
template bool packs_while_running(const IndirectConv<U8>&);

template <class T>
void run(ExecContext& context, const KernelTable<T>& table,
         std::span<const IndirectConv<T>> problems) {
  std::vector<Schedule<T>> schedules;
  int64_t jobs = 0, longest = 1;
  for (const IndirectConv<T>& problem : problems) {
    if (problem.batch * problem.grid_h * problem.grid_w * problem.out_channels == 0) continue;
    schedules.push_back(schedule(table, problem, context.threads(), problems.size()));
    schedules.back().first_job = jobs;
    jobs += schedules.back().jobs();
    longest = std::max(longest, schedules.back().segment);
  }
  Scratch<T> zeros(longest + 1);
  std::fill_n(zeros.data(), longest + 1, problems.front().padding);
  context.parallel_for(jobs, [&](int64_t job) {
    const auto after =
        std::upper_bound(schedules.begin(), schedules.end(), job,
                         [](int64_t wanted, const Schedule<T>& s) { return wanted < s.first_job; });
    const Schedule<T>& s = *(after - 1);
    const int64_t local = job - s.first_job;
    run_block(context, table, s, local / s.panel_blocks, local % s.panel_blocks, zeros.data());
  });
}

template void run(ExecContext&, const KernelTable<float>&, std::span<const IndirectConv<float>>);
template void run(ExecContext&, const KernelTable<double>&, std::span<const IndirectConv<double>>);
template void run(ExecContext&, const KernelTable<Bf16>&, std::span<const IndirectConv<Bf16>>);
template void run(ExecContext&, const KernelTable<U8>&, std::span<const IndirectConv<U8>>);

}  // namespace graft::cpu
