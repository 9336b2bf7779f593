# tern_library, tern_executable, tern_test, tern_proto: the only ways targets are made here.
# Include paths start at the repository's root; generated protobuf headers at <build>/gen.

add_library(tern_options INTERFACE)
target_include_directories(tern_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(tern_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Werror)

# One precompiled header for everything built on CAF, made once.
if(TERN_PCH)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/caf_pch.cpp CONTENT "\n")  # keeps its date when unchanged
  add_library(tern_pch_caf OBJECT ${CMAKE_BINARY_DIR}/pch/caf_pch.cpp)
  target_link_libraries(tern_pch_caf PRIVATE tern_options dep::caf)
  target_precompile_headers(tern_pch_caf PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch_caf.hpp)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/gtest_pch.cpp CONTENT "\n")
  add_library(tern_pch_gtest OBJECT ${CMAKE_BINARY_DIR}/pch/gtest_pch.cpp)
  target_link_libraries(tern_pch_gtest PRIVATE tern_options dep::gtest)
  target_precompile_headers(tern_pch_gtest PRIVATE <gtest/gtest.h> <gmock/gmock.h> <string> <vector> <memory>)
endif()

function(tern_apply_pch target pch)
  if(TERN_PCH AND pch)
    target_precompile_headers(${target} REUSE_FROM tern_pch_${pch})
  endif()
endfunction()

# tern_library(name SOURCES … [LINK public targets…] [PRIVATE private targets…] [PCH caf])
# -> target tern_<name>, alias tern::<name>
function(tern_library name)
  cmake_parse_arguments(A "" "PCH" "SOURCES;LINK;PRIVATE" ${ARGN})
  if(A_SOURCES)
    add_library(tern_${name} STATIC ${A_SOURCES})
    target_link_libraries(tern_${name} PUBLIC ${A_LINK} PRIVATE tern_options ${A_PRIVATE})
    target_include_directories(tern_${name} PUBLIC ${PROJECT_SOURCE_DIR})
    tern_apply_pch(tern_${name} "${A_PCH}")
  else()
    add_library(tern_${name} INTERFACE)
    target_link_libraries(tern_${name} INTERFACE ${A_LINK})
    target_include_directories(tern_${name} INTERFACE ${PROJECT_SOURCE_DIR})
  endif()
  add_library(tern::${name} ALIAS tern_${name})
endfunction()

# tern_executable(name [SERVER] SOURCES … LINK …) -> build/bin/name. SERVER: one of the long-running programs
function(tern_executable name)
  cmake_parse_arguments(A "SERVER" "PCH" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE tern_options ${A_LINK})
  # Messages are made on one thread and freed on another, which glibc's allocator takes badly: a stored message costs a
  # third less CPU with this one. Sanitizers bring their own.
  if(A_SERVER AND NOT TERN_SANITIZE)
    target_link_libraries(${name} PRIVATE dep::jemalloc)
  endif()
  tern_apply_pch(${name} "${A_PCH}")
endfunction()

# What is known not to be ours; without a sanitizer nobody reads these.
set(TERN_SANITIZER_OPTIONS
  "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp:second_deadlock_stack=1"
  "UBSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/ubsan.supp:print_stacktrace=1"
  "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp")

# tern_test(name SOURCES … LINK … [TIMEOUT s] [LABELS unit|integration|cluster] [SERIAL] [PCH caf|gtest])
# One ctest entry per binary. SERIAL: never beside another test (it uses both cores).
function(tern_test name)
  cmake_parse_arguments(A "SERIAL" "TIMEOUT;LABELS;PCH" "SOURCES;LINK" ${ARGN})
  if(NOT TERN_TESTS)
    return()
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 60)
  endif()
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT DEFINED A_PCH)
    set(A_PCH gtest)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE tern_options ${A_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  # g++ 12 sees overlaps and overruns in std::string temporaries at -O2 that are not there (GCC bugs 105329, 105651).
  target_compile_options(${name} PRIVATE -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  tern_apply_pch(${name} "${A_PCH}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}"
    ENVIRONMENT "TERN_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};TERN_SOURCE=${PROJECT_SOURCE_DIR};${TERN_SANITIZER_OPTIONS}")
  if(A_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# tern_proto(area DEPENDS other areas…): protos/tern/<area>/v1/<area>.proto -> tern::proto_<area>, <tern/<area>/v1/<area>.pb.h>
function(tern_proto area)
  cmake_parse_arguments(A "" "" "DEPENDS" ${ARGN})
  set(gen ${CMAKE_BINARY_DIR}/gen)
  set(stem tern/${area}/v1/${area})
  file(MAKE_DIRECTORY ${gen}/tern/${area}/v1)
  add_custom_command(
    OUTPUT ${gen}/${stem}.pb.cc ${gen}/${stem}.pb.h
    COMMAND protobuf::protoc -I ${PROJECT_SOURCE_DIR}/protos --cpp_out=${gen} ${PROJECT_SOURCE_DIR}/protos/${stem}.proto
    DEPENDS ${PROJECT_SOURCE_DIR}/protos/${stem}.proto VERBATIM)
  add_library(tern_proto_${area} STATIC ${gen}/${stem}.pb.cc)
  target_include_directories(tern_proto_${area} SYSTEM PUBLIC ${gen})
  target_link_libraries(tern_proto_${area} PUBLIC dep::protobuf)
  foreach(other ${A_DEPENDS})
    target_link_libraries(tern_proto_${area} PUBLIC tern_proto_${other})
  endforeach()
  add_library(tern::proto_${area} ALIAS tern_proto_${area})
endfunction()
