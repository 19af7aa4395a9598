// CIFAR folders: CIFAR-10 records, or CIFAR-100 records and the names of its classes. The first
// byte chooses.
#include "graft/tests/fuzz/read_data.h"

GRAFT_FUZZ_TARGET(cifar, 6000, 1 << 20, [](graft::fuzz::Bytes bytes) {
  if (bytes.empty()) return;
  const auto [records, names] = graft::fuzz::split_files(bytes.subspan(1));
  const bool ten = bytes[0] == std::byte{'c'};
  graft::MemoryFileSystem files;
  files.put(ten ? "data_batch_1.bin" : "train.bin", records);
  files.put(ten ? "batches.meta.txt" : "fine_label_names.txt", names);
  graft::fuzz::read_data(files, "/d");
})
