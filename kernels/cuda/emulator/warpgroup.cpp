#include "graft/kernels/cuda/emulator/warpgroup.h"

namespace graft::cuda::emulator {

OperandView::OperandView(BlockRun& run, uint64_t descriptor, bool by_steps_)
    : start(static_cast<int64_t>(descriptor & 0x3fff) << 4),
      leading(static_cast<int64_t>(descriptor >> 16 & 0x3fff) << 4),
      stride(static_cast<int64_t>(descriptor >> 32 & 0x3fff) << 4),
      by_steps(by_steps_) {
  if (descriptor >> 62 != 1)
    run.fault_running("multiplies by a descriptor of another swizzle than 128 bytes");
  if ((descriptor >> 49 & 7) != 0)
    run.fault_running(
        "multiplies by a descriptor with a base offset, which the emulator does not know");
  if ((descriptor & 0x3ff1c000c000c000) != 0)
    run.fault_running("multiplies by a descriptor with bits that mean nothing");
  // Rows of 128 bytes; only steps along a row may begin inside of one, and eight rows begin at a
  // multiple of 1,024.
  if ((by_steps ? start : start & ~int64_t{127}) % 1024 != 0 || stride % 1024 != 0)
    run.fault_running("multiplies by a descriptor whose swizzle begins at no multiple of 1,024");
  if (!by_steps && start % 128 > 96) run.fault_running("multiplies steps that leave their row");
}

void OperandView::add_groups(int lines, std::vector<int>& groups) const {
  if (by_steps) {
    for (int step = 0; step < 16; ++step)
      for (int line = 0; line < lines; line += 8)
        groups.push_back(static_cast<int>(at(line, step) / 16));
  } else {
    for (int line = 0; line < lines; ++line)
      for (int step = 0; step < 16; step += 8)
        groups.push_back(static_cast<int>(at(line, step) / 16));
  }
}

// The first thread of the warpgroup runs first behind the meeting: it looks for all.
const ProductReads& meet_for_product(BlockRun& run, int thread, uint64_t a, bool a_by_steps,
                                     uint64_t b, bool b_by_steps, int columns) {
  AsyncMemory& async = run.async();
  run.operands(thread) = {a, b};
  run.meet(thread, BlockRun::Meeting::warpgroup);
  if (thread % 128 == 0) {
    for (int other = thread; other < thread + 128; ++other)
      if (run.operands(other).a != a || run.operands(other).b != b)
        run.fault(other, "brings another descriptor to a product than its warpgroup");
    std::vector<int> groups;
    OperandView(run, a, a_by_steps).add_groups(64, groups);
    OperandView(run, b, b_by_steps).add_groups(columns, groups);
    run.product_reads(thread) = async.check_operands(thread, groups);
  }
  return run.product_reads(thread);
}

}  // namespace graft::cuda::emulator
