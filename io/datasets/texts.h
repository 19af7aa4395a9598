// Texts that samples are answered by: their characters, and the data sets that hold them.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {

inline constexpr int64_t kLongestText = 10000;  // bytes

// The characters (Unicode code points, each as UTF-8) of a text that clean_text() gave.
GRAFT_API std::vector<std::string> characters_of(const std::string& text);

// A text as targets have it: accents composed with their letters (NFC), blanks, tabs and line ends
// a single blank each, none at the ends; may be empty. bad_input naming `what` for bytes that are
// no UTF-8, for other control characters and for more than kLongestText bytes.
GRAFT_API std::string clean_text(const std::string& text, const std::string& what);

// The data set of files whose `text` is set. Its classes are the characters, sorted; labels() of a
// file are those that it has.
DataPart text_part(std::vector<LabelledFile> files, const FileKind& kind);

// Folders of files with a text each beside them, of the same name but for the extension .txt, with
// or without folders of parts (train, val, test) above them. Files without one are left out, which
// is said.
DataParts read_text_folder(const std::string& path, const PartsWanted& wanted);
// Why a folder looks like one of those: at least half of its files have a text; "": it does not.
std::string why_texts(const std::string& path, const FileKind& kind);

}  // namespace graft::io
