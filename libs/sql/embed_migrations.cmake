# Writes STEM.hpp and STEM.cpp with the texts of DIR/NNNN_what.sql.
file(GLOB files ${DIR}/[0-9][0-9][0-9][0-9]_*.sql)
list(SORT files)
set(entries "")
foreach(file ${files})
  get_filename_component(stem ${file} NAME_WE)
  string(SUBSTRING ${stem} 0 4 digits)
  string(REGEX REPLACE "^0+" "" version ${digits})
  file(READ ${file} text)
  # Literals are cut into pieces: compilers limit the length of one.
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 8000 piece)
    string(APPEND pieces "\n     R\"~sql~(${piece})~sql~\"")
    math(EXPR at "${at} + 8000")
  endwhile()
  string(APPEND entries "    {${version}, \"${stem}\",${pieces}},\n")
endforeach()
file(WRITE ${STEM}.hpp "#pragma once

#include <span>

#include \"libs/sql/migrations.hpp\"

namespace tern::sql {

std::span<const migration> ${NAME}_migrations();

}  // namespace tern::sql
")
file(WRITE ${STEM}.cpp "#include \"migrations/${NAME}_migrations.hpp\"

namespace tern::sql {

std::span<const migration> ${NAME}_migrations() {
  static constexpr migration all[] = {
${entries}  };
  return all;
}

}  // namespace tern::sql
")
