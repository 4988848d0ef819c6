/* typed_heap_c TRUTH_FILE: typed_heap.cc's plain sibling: the heap of a C server, the type of every live block written to
   TRUTH_FILE, then a core.

     server ─┬─ devices[]      array of void*: struct disk and struct tty, of one size, each with a table of its functions first
             ├─ queue          struct task, the head of struct mail and struct audit, of one size, which refer to different things
             ├─ connections[]  array of pointers ─► struct connection ─► void* user: always a struct account
             ├─ table          hash table: struct bucket[] ─► struct entry chain ─► void* value: always a struct item
             ├─ timers         struct timer, linked through a struct list_head in its middle
             ├─ config         struct json: a tag, and a union of text, array of pointers and members
             ├─ messages       struct message: flexible array of bytes; struct batch: flexible array of structs
             ├─ trie           struct trie_node with an array of children; parents too
             └─ matrix, points double** and a structure that only a typedef names

   Every call of malloc says at once what it is for. Nothing is leaked; churn() leaves free blocks and stale words. */
#include "typed_heap_truth.h"

static void* named(size_t bytes, const char* type, int is_array) {
  void* p = truth_add(calloc(1, bytes));
  truth_name(p, type, is_array);
  return p;
}
#define NEW(tag) ((struct tag*)named(sizeof(struct tag), #tag, 0))
#define NEW_FLEXIBLE(tag, bytes) ((struct tag*)named(sizeof(struct tag) + (bytes), #tag, 0))
#define NEW_ARRAY(type, name, n) ((type*)named(sizeof(type) * (n), name, 1))

static void release(void* p) {
  truth_remove(p);
  free(p);
}

static uint64_t next_random(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static char* new_text(const char* prefix) {
  size_t length = strlen(prefix) + 10 + next_random() % 60;
  char* text = NEW_ARRAY(char, "char", length + 1);
  memset(text, 'x', length);
  memcpy(text, prefix, strlen(prefix));
  return text;
}

struct list_head {
  struct list_head *next, *previous;
};
struct timer {
  uint64_t expires;
  int (*fire)(struct timer*);
  struct list_head link;
  unsigned period;
};
struct account {
  char* login;
  uint32_t id;
  double balance;
};
struct connection {
  int socket;
  char peer[20];
  void* user; /* struct account */
  struct connection* next_idle;
  unsigned char* buffer;
  size_t buffer_bytes;
};
struct item {
  uint64_t key;
  uint32_t counts[6];
};
struct entry {
  uint64_t hash;
  char* key;
  void* value; /* struct item */
  struct entry* next;
};
struct bucket {
  struct entry* first;
  uint32_t length;
};
struct table {
  struct bucket* buckets;
  size_t bucket_count, entry_count;
  struct item* newest; /* the one place that says what the entries' values are */
};
struct message {
  uint32_t length;
  uint16_t kind;
  char data[];
};
struct sample {
  double at, value;
};
struct batch {
  size_t count;
  struct batch* next;
  struct sample samples[];
};
enum json_kind { json_number, json_text, json_array, json_object };
struct member;
struct json {
  enum json_kind kind;
  union {
    double number;
    char* text;
    struct {
      struct json** elements;
      size_t count;
    } array;
    struct member* members;
  } as;
};
struct member {
  char* name;
  struct json* value;
  struct member* next;
};
struct trie_node {
  struct trie_node* children[4];
  struct trie_node* parent;
  char* word;
};
typedef struct {
  int x, y, z, colour;
} point_t;
struct disk;
struct tty;
struct disk_driver {
  int (*read)(struct disk*);
  const char* name;
};
struct tty_driver {
  int (*echo)(struct tty*);
  const char* name;
};
struct disk {
  const struct disk_driver* driver;
  uint64_t blocks;
  char* label;
};
struct tty {
  const struct tty_driver* driver;
  char* label;
  uint64_t speed;
};
struct task {
  struct task* next;
  int state;
};
struct mail {
  struct task task;
  struct connection* to;
  uint64_t bytes;
};
struct audit {
  struct task task;
  struct table* of;
  uint64_t since;
};
struct server {
  void** devices;
  struct task* queue;
  struct connection** connections;
  size_t connection_count;
  struct connection* idle;
  struct table* table;
  struct list_head timers;
  struct json* config;
  struct message* messages[64];
  struct batch* batches;
  struct trie_node* trie;
  double** matrix;
  point_t* points;
};

static struct server* server;
__thread struct account* last_account; /* not static: it stays although nothing reads it */

static int fire(struct timer* timer) {
  return (int)timer->period;
}

static struct account* new_account(uint32_t id) {
  struct account* account = NEW(account);
  account->login = new_text("login-");
  account->id = id;
  account->balance = id * 1.25;
  return account;
}

static void fill_connections(size_t count) {
  server->connection_count = count;
  server->connections = NEW_ARRAY(struct connection*, "connection*", count);
  for (size_t i = 0; i < count; ++i) {
    struct connection* connection = NEW(connection);
    connection->socket = (int)i;
    connection->user = last_account = new_account((uint32_t)i);
    if (i % 2 == 0) {
      connection->buffer_bytes = 100 + next_random() % 900;
      connection->buffer = NEW_ARRAY(unsigned char, "unsigned char", connection->buffer_bytes);
      memset(connection->buffer, (int)i, connection->buffer_bytes);
    }
    if (i % 3 == 0) {
      connection->next_idle = server->idle;
      server->idle = connection;
    }
    server->connections[i] = connection;
  }
}

static void fill_table(size_t count) {
  struct table* table = server->table = NEW(table);
  table->bucket_count = 256;
  table->buckets = NEW_ARRAY(struct bucket, "bucket", table->bucket_count);
  for (size_t i = 0; i < count; ++i) {
    struct entry* entry = NEW(entry);
    struct item* item = NEW(item);
    entry->hash = next_random();
    entry->key = new_text("key-");
    entry->value = item;
    table->newest = item;
    item->key = entry->hash;
    struct bucket* bucket = &table->buckets[entry->hash % table->bucket_count];
    entry->next = bucket->first;
    bucket->first = entry;
    ++bucket->length;
    ++table->entry_count;
  }
}

static void fill_timers(size_t count) {
  struct list_head* head = &server->timers;
  head->next = head->previous = head;
  for (size_t i = 0; i < count; ++i) {
    struct timer* timer = NEW(timer);
    timer->expires = i * 100;
    timer->fire = fire;
    timer->link = (struct list_head){head, head->previous};
    head->previous->next = &timer->link;
    head->previous = &timer->link;
  }
}

static struct json* new_json(int depth) {
  struct json* json = NEW(json);
  json->kind = depth == 0 ? (enum json_kind)(next_random() % 2) : (enum json_kind)(2 + next_random() % 2);
  if (json->kind == json_number) json->as.number = (double)(next_random() % 1000) / 8;
  if (json->kind == json_text) json->as.text = new_text("json ");
  if (json->kind == json_array) {
    json->as.array.count = 5;
    json->as.array.elements = NEW_ARRAY(struct json*, "json*", 5);
    for (size_t i = 0; i < 5; ++i) json->as.array.elements[i] = new_json(depth - 1);
  }
  for (int i = 0; json->kind == json_object && i < 5; ++i) {
    struct member* member = NEW(member);
    member->name = new_text("member-");
    member->value = new_json(depth - 1);
    member->next = json->as.members;
    json->as.members = member;
  }
  return json;
}

static struct trie_node* new_trie(struct trie_node* parent, int depth) {
  struct trie_node* node = NEW(trie_node);
  node->parent = parent;
  if (next_random() % 2 == 0) node->word = new_text("");
  for (int i = 0; depth > 0 && i < 4; ++i) node->children[i] = new_trie(node, depth - 1);
  return node;
}

static void fill_messages(void) {
  for (size_t i = 0; i < 64; ++i) {
    uint32_t length = (uint32_t)(next_random() % 2000);
    server->messages[i] = NEW_FLEXIBLE(message, length);
    server->messages[i]->length = length;
    memset(server->messages[i]->data, 'm', length);
  }
  for (size_t i = 0; i < 40; ++i) {
    size_t count = 1 + next_random() % 20;
    struct batch* batch = NEW_FLEXIBLE(batch, count * sizeof(struct sample));
    batch->count = count;
    batch->next = server->batches;
    for (size_t k = 0; k < count; ++k) batch->samples[k] = (struct sample){(double)k, 0.5};
    server->batches = batch;
  }
  server->matrix = NEW_ARRAY(double*, "double*", 30);
  for (size_t i = 0; i < 30; ++i) {
    server->matrix[i] = NEW_ARRAY(double, "double", 30);
    for (size_t k = 0; k < 30; ++k) server->matrix[i][k] = (double)(i * k);
  }
  server->points = NEW_ARRAY(point_t, "point_t", 100);
  for (int i = 0; i < 100; ++i) server->points[i] = (point_t){i, i, i, 7};
}

static int read_disk(struct disk* disk) {
  return (int)disk->blocks;
}
static int echo(struct tty* tty) {
  return (int)tty->speed;
}
static const struct disk_driver disk_driver = {read_disk, "disk"};
static const struct tty_driver tty_driver = {echo, "tty"};

static void fill_devices(size_t count) {
  server->devices = NEW_ARRAY(void*, "void*", count);
  for (size_t i = 0; i < count; ++i) {
    if (i % 3 == 0) {
      struct disk* disk = NEW(disk);
      *disk = (struct disk){&disk_driver, i, new_text("disk-")};
      server->devices[i] = disk;
    } else {
      struct tty* tty = NEW(tty);
      *tty = (struct tty){&tty_driver, new_text("tty-"), 9600};
      server->devices[i] = tty;
    }
  }
}

static void fill_queue(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    struct task* task;
    if (i % 2 == 0) {
      struct mail* mail = NEW(mail);
      mail->to = server->connections[i % server->connection_count];
      task = &mail->task;
    } else {
      struct audit* audit = NEW(audit);
      audit->of = server->table;
      task = &audit->task;
    }
    task->next = server->queue;
    server->queue = task;
  }
}

static void churn(void) {
  void* blocks[500];
  for (size_t i = 0; i < 500; ++i) blocks[i] = i % 2 == 0 ? (void*)new_account(1) : (void*)new_text("gone ");
  for (size_t i = 0; i < 500; ++i) {
    if (i % 2 == 0) release(((struct account*)blocks[i])->login);
    release(blocks[i]);
  }
}

static const char* as_is(const char* type) {
  return type;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  churn();
  server = NEW(server);
  fill_connections(800);
  fill_table(1500);
  churn();
  fill_timers(300);
  server->config = new_json(4);
  server->trie = new_trie(NULL, 5);
  fill_messages();
  fill_devices(300);
  fill_queue(300);
  truth_write(argv[1], as_is);
  abort();
}
