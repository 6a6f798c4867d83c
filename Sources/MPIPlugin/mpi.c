/* Messages between ranks for Sources/Cluster/Wire/MPIWire.swift, which opens this file's library with dlopen: whatever
   MPI a cluster has, its own mpicc builds it (`make mpi MPICC=...`), and nothing else of the program knows MPI.

   A message is a number here: its place in a table of requests. All functions are called by the one thread that called
   martlet_mpi_start. Results below 0 are negated error codes, for martlet_mpi_error. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  interface_version = 1,
  /* An error of ours, beyond those of MPI. */
  no_memory = 1 << 28,
  no_threads,
  wrong_length,
};

static MPI_Comm world;

/* requests[0..<used] are what MPI_Testsome looks at; names[i] is the number of requests[i]. */
static MPI_Request *requests;
static int *names, *expected;
static int used, capacity;
/* Numbers that can be given again, as a stack. */
static int *spare;
static int spare_count, number_count;

int martlet_mpi_interface(void) { return interface_version; }

int martlet_mpi_start(int *rank, int *size) {
  int level = 0, is_started = 0;
  MPI_Initialized(&is_started);
  if (!is_started) {
    int status = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    if (status != MPI_SUCCESS) return status;
    if (level < MPI_THREAD_FUNNELED) return no_threads;
  }
  /* Of our own, so that nobody else's messages come in between. */
  int status = MPI_Comm_dup(MPI_COMM_WORLD, &world);
  if (status != MPI_SUCCESS) return status;
  MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
  MPI_Comm_rank(world, rank);
  MPI_Comm_size(world, size);
  return 0;
}

static void *grown(void *memory, int count, size_t each) { return realloc(memory, (size_t)count * each); }

static int make_room(void) {
  if (used < capacity) return 0;
  int count = capacity ? 2 * capacity : 256;
  void *r = grown(requests, count, sizeof *requests);
  if (r) requests = r;
  void *n = grown(names, count, sizeof *names);
  if (n) names = n;
  void *e = grown(expected, count, sizeof *expected);
  if (e) expected = e;
  void *s = grown(spare, count, sizeof *spare);
  if (s) spare = s;
  if (!r || !n || !e || !s) return no_memory;
  capacity = count;
  return 0;
}

/* Takes up the request at `used`. */
static int keep(int length) {
  int name = spare_count ? spare[--spare_count] : number_count++;
  names[used] = name;
  expected[used] = length;
  used++;
  return name;
}

int martlet_mpi_send(void *bytes, int count, int rank, int tag) {
  int status = make_room();
  if (status == 0) status = MPI_Isend(bytes, count, MPI_BYTE, rank, tag, world, &requests[used]);
  return status == 0 ? keep(-1) : -status;
}

int martlet_mpi_receive(void *bytes, int count, int rank, int tag) {
  int status = make_room();
  if (status == 0) status = MPI_Irecv(bytes, count, MPI_BYTE, rank, tag, world, &requests[used]);
  return status == 0 ? keep(count) : -status;
}

/* Points `numbers` to the numbers of completed messages, until the next call; returns how many. */
int martlet_mpi_completed(const int **numbers) {
  static int *places;
  static MPI_Status *states;
  static int room;
  if (room < capacity) {
    void *p = grown(places, capacity, sizeof *places);
    if (p) places = p;
    void *s = grown(states, capacity, sizeof *states);
    if (s) states = s;
    if (!p || !s) return -no_memory;
    room = capacity;
  }
  int count = 0, failed = 0;
  int status = MPI_Testsome(used, requests, &count, places, states);
  if (status != MPI_SUCCESS && status != MPI_ERR_IN_STATUS) return -status;
  if (count == MPI_UNDEFINED) count = 0;
  for (int i = 0; i < count; i++) {
    int place = places[i], length = expected[place];
    if (status == MPI_ERR_IN_STATUS && states[i].MPI_ERROR != MPI_SUCCESS) failed = states[i].MPI_ERROR;
    if (length >= 0 && !failed) {
      int arrived = 0;
      MPI_Get_count(&states[i], MPI_BYTE, &arrived);
      if (arrived != length) failed = wrong_length;
    }
    places[i] = names[place];
    names[place] = -1;
  }
  if (failed) return -failed;
  int kept = 0;
  for (int i = 0; i < used; i++) {
    if (names[i] < 0) continue;
    requests[kept] = requests[i];
    names[kept] = names[i];
    expected[kept] = expected[i];
    kept++;
  }
  used = kept;
  for (int i = 0; i < count; i++) spare[spare_count++] = places[i];
  *numbers = places;
  return count;
}

void martlet_mpi_error(int status, char *text, int room) {
  if (room <= 0) return;
  if (status >= no_memory) {
    const char *ours = status == no_memory ? "no memory for its requests"
        : status == no_threads ? "this MPI does not allow threads (MPI_THREAD_FUNNELED)"
        : "a message of another length than expected; are all ranks the same program?";
    snprintf(text, (size_t)room, "%s", ours);
    return;
  }
  char message[MPI_MAX_ERROR_STRING + 1];
  int length = 0;
  MPI_Error_string(status, message, &length);
  snprintf(text, (size_t)room, "%.*s", length, message);
}

int martlet_mpi_finish(void) {
  MPI_Comm_free(&world);
  return MPI_Finalize();
}
