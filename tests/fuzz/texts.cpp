// Texts: UTF-8, words, tables of texts, and the card's steps with a vocabulary.
#include "graft/io/datasets/text_list.h"
#include "graft/io/texts/text_steps.h"
#include "graft/io/texts/unicode.h"
#include "graft/tests/fuzz/memory_file_system.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(texts, 400, 1 << 20, [](graft::fuzz::Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const graft::io::Words words = graft::io::words_of(text, 1000);
  for (const graft::io::Word& word : words.words)
    if (word.begin > word.end || word.end > text.size() || graft::io::count_broken(word.text) > 0)
      graft::fail(graft::ErrorCode::internal, "a word stands nowhere");
  graft::io::count_broken(text);
  graft::MemoryFileSystem files;
  files.put("t.csv", bytes);
  files.put("t.jsonl", bytes);
  const graft::ScopedFileSystem scope(files);
  for (const char* path : {"/d/t.csv", "/d/t.jsonl"}) {
    try {
      graft::io::texts_of_table(path);
    } catch (const graft::Error& error) {
      if (error.code() == graft::ErrorCode::internal) throw;
    }
  }
  graft::io::TextNumbers numbers(graft::io::TextSteps::from_json(std::string(text)));
})
