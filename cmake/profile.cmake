# Profile-guided optimisation: AMQTT_PGO=record builds an engine that counts what it does and writes
# that to AMQTT_PROFILE when its process ends; AMQTT_PGO=use optimises by it. The profile of an
# object is found by the path of the object, so both have to be built in the same folder.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  message(FATAL_ERROR "AMQTT_PGO needs GCC; the compiler is ${CMAKE_CXX_COMPILER_ID}")
endif()

if(AMQTT_PGO STREQUAL "record")
  # Threads count at the same time.
  add_compile_options(-fprofile-generate=${AMQTT_PROFILE} -fprofile-update=atomic)
  add_link_options(-fprofile-generate=${AMQTT_PROFILE})
elseif(AMQTT_PGO STREQUAL "use")
  file(GLOB AMQTT_PROFILE_FILES "${AMQTT_PROFILE}/*.gcda")
  if(NOT AMQTT_PROFILE_FILES)
    message(FATAL_ERROR "AMQTT_PGO=use: ${AMQTT_PROFILE} has no profile; ./dev wheel records one")
  endif()
  # What no load has run is optimised as without a profile, not for size; what has changed since it
  # was recorded, too.
  set(AMQTT_PROFILE_FLAGS -fprofile-use=${AMQTT_PROFILE} -fprofile-partial-training)
  add_compile_options(${AMQTT_PROFILE_FLAGS} -Wno-missing-profile -Wno-coverage-mismatch)
  add_link_options(${AMQTT_PROFILE_FLAGS} -Wno-missing-profile -Wno-coverage-mismatch)
else()
  message(FATAL_ERROR "AMQTT_PGO is '${AMQTT_PGO}'; it has to be record, use or OFF")
endif()
