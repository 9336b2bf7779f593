# tern_migrations(name dir): embeds dir/NNNN_what.sql, in order, as tern::sql::<name>_migrations() (library tern::migrations_<name>).
function(tern_migrations name dir)
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/embed_migrations.cmake)
  get_filename_component(dir ${dir} ABSOLUTE)
  file(GLOB files CONFIGURE_DEPENDS ${dir}/[0-9][0-9][0-9][0-9]_*.sql)
  set(stem ${CMAKE_BINARY_DIR}/gen/migrations/${name}_migrations)
  add_custom_command(
    OUTPUT ${stem}.cpp ${stem}.hpp
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DDIR=${dir} -DSTEM=${stem} -P ${script}
    DEPENDS ${files} ${script} VERBATIM)
  add_library(tern_migrations_${name} STATIC ${stem}.cpp ${stem}.hpp)
  target_include_directories(tern_migrations_${name} PUBLIC ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR}/gen)
  add_library(tern::migrations_${name} ALIAS tern_migrations_${name})
endfunction()
