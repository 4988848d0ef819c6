// A Rust program that knows the type of every block of its heap, writes that down and dumps core.
//
//     every allocation ─► Counting (the global allocator over malloc) ─► table: address, usable size
//     Program ─► Owner::visit(), from owner to owned ─► the block that each container's buffer lies in gets its name
//
// usage: typed_heap_rs TRUTH_FILE: rows `address <TAB> usable size <TAB> type`, arrays as "T[]". A block that nobody named, or that
// was named twice and differently, ends the program with status 3.
//
// How blocks are found without a look into the containers: a vector's by its slices; a hash table's and a tree's nodes by
// the elements they hold, which iterators lend; an Rc's 16 bytes before its value. Of a BTreeMap's nodes those with 12
// edges more than a leaf has room for are internal ones. Names of pointers are as debug info has them: a Box<T> is "T *".
use std::alloc::{GlobalAlloc, Layout};
use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{c_char, c_int, c_void, CString};
use std::mem::{align_of, size_of};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

// ---- The truth about blocks ----

extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn malloc_usable_size(block: *mut c_void) -> usize;
    fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int;
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
    fn _exit(status: c_int) -> !;
}

type Name = [&'static str; 3]; // put together when written: naming must not allocate

#[derive(Clone, Copy)]
struct Block {
    key: usize, // 0: never used; 1: removed; else the address complemented, so that the table refers to nothing
    usable_bytes: usize,
    name: Name,
}

const SLOTS: usize = 1 << 17;
const MAX_OFFSET: usize = 1 << 20; // of a pointer in its block
static mut BLOCKS: [Block; SLOTS] = [Block { key: 0, usable_bytes: 0, name: ["", "", ""] }; SLOTS];
static mut IS_RECORDING: bool = false;

fn blocks() -> &'static mut [Block; SLOTS] {
    unsafe { &mut *std::ptr::addr_of_mut!(BLOCKS) } // the program lets one thread run at a time
}

fn first_slot(address: usize) -> usize {
    (address >> 4).wrapping_mul(0x9e3779b97f4a7c15) >> 47
}

fn block_at(address: usize) -> Option<&'static mut Block> {
    let mut slot = first_slot(address);
    while blocks()[slot].key != 0 {
        if blocks()[slot].key == !address {
            return Some(&mut blocks()[slot]);
        }
        slot = (slot + 1) % SLOTS;
    }
    None
}

fn fail(what: &str, name: &Name) -> ! {
    for text in ["typed_heap_rs: ", what, ": ", name[0], name[1], name[2], "\n"] {
        unsafe { write(2, text.as_ptr().cast(), text.len()) };
    }
    unsafe { _exit(3) }
}

// The block that the pointer lies in.
fn block_around<T: ?Sized>(pointer: *const T, name: &Name) -> &'static mut Block {
    let address = pointer.cast::<u8>() as usize;
    let mut at = address & !15;
    while address - at <= MAX_OFFSET {
        if let Some(block) = block_at(at) {
            if address - at < block.usable_bytes {
                return block;
            }
            break;
        }
        at -= 16;
    }
    fail("no such block", name)
}

// False when it was named before.
fn name<T: ?Sized>(pointer: *const T, name: Name) -> bool {
    let block = block_around(pointer, &name);
    if block.name[1].is_empty() {
        block.name = name;
        return true;
    }
    if block.name != name {
        fail("named twice", &name);
    }
    false
}

fn array_of<T: Spelled>() -> Name {
    ["", T::spelled(), T::array_suffix()]
}

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = if layout.align() <= 16 {
            malloc(layout.size())
        } else {
            aligned_alloc(layout.align(), layout.size().next_multiple_of(layout.align()))
        };
        if IS_RECORDING {
            let mut slot = first_slot(block as usize);
            while blocks()[slot].key > 1 {
                slot = (slot + 1) % SLOTS;
            }
            let usable_bytes = malloc_usable_size(block);
            blocks()[slot] = Block { key: !(block as usize), usable_bytes, name: ["", "", ""] };
        }
        block.cast()
    }
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        if let Some(known) = block_at(block as usize) {
            known.key = 1;
        }
        free(block.cast());
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// ---- Who owns what ----

// How debug info spells a type that a buffer is full of.
trait Spelled {
    fn spelled() -> &'static str;
    fn array_suffix() -> &'static str {
        "[]"
    }
}

// Names the blocks that a value owns, and what these own in turn.
trait Owner {
    fn visit(&self);
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Owner for $type { fn visit(&self) {} }
        impl Spelled for $type { fn spelled() -> &'static str { type_name::<$type>() } }
    )*};
}
plain!(u8, u16, u32, u64, i32, f64, bool, (), [u64; 4]);

macro_rules! spelled_by_compiler {
    ($([$($parameters:tt)*] $type:ty),* $(,)?) => {$(
        impl<$($parameters)*> Spelled for $type { fn spelled() -> &'static str { type_name::<$type>() } }
    )*};
}
spelled_by_compiler!([] String, [T] Vec<T>, [T] Option<T>, [T] Rc<T>, [T] Arc<T>, [A, B] (A, B), [K, V] HashMap<K, V>,
    [T] VecDeque<T>, [K, V] BTreeMap<K, V>, [T: ?Sized] Weak<T>, [] Box<dyn Shape>, [] Rc<dyn Shape>, [T] Box<[T]>, [] Arc<str>);
impl<T: Spelled> Spelled for Box<T> {
    fn spelled() -> &'static str {
        T::spelled()
    }
    fn array_suffix() -> &'static str {
        " *[]"
    }
}

impl Owner for String {
    fn visit(&self) {
        if self.capacity() > 0 {
            name(self.as_ptr(), array_of::<u8>());
        }
    }
}
impl<T: Owner + Spelled> Owner for Vec<T> {
    fn visit(&self) {
        if self.capacity() > 0 && size_of::<T>() > 0 {
            name(self.as_ptr(), array_of::<T>());
        }
        self.iter().for_each(T::visit);
    }
}
impl<T: Owner + Spelled> Owner for BinaryHeap<T> {
    fn visit(&self) {
        name(self.as_slice().as_ptr(), array_of::<T>());
        self.iter().for_each(T::visit);
    }
}
impl<T: Owner + Spelled> Owner for VecDeque<T> {
    fn visit(&self) {
        if let Some(first) = self.front() {
            name(first, array_of::<T>());
        }
        self.iter().for_each(T::visit);
    }
}
impl<T: Owner + Spelled> Owner for Box<[T]> {
    fn visit(&self) {
        name(self.as_ptr(), array_of::<T>());
        self.iter().for_each(T::visit);
    }
}
impl Owner for Box<str> {
    fn visit(&self) {
        name(self.as_ptr(), array_of::<u8>());
    }
}
impl<T: Owner + Spelled> Owner for Box<T> {
    fn visit(&self) {
        if name(&**self, ["", T::spelled(), ""]) {
            (**self).visit();
        }
    }
}
impl<T: Owner> Owner for Option<T> {
    fn visit(&self) {
        self.iter().for_each(T::visit);
    }
}
impl<A: Owner, B: Owner> Owner for (A, B) {
    fn visit(&self) {
        self.0.visit();
        self.1.visit();
    }
}

// The counts stand before the value.
fn inner_of<T: ?Sized>(value: *const T) -> *const u8 {
    value.cast::<u8>().wrapping_sub(16)
}
impl<T: Owner + Spelled> Owner for Rc<T> {
    fn visit(&self) {
        if name(inner_of(&**self), ["alloc::rc::RcInner<", T::spelled(), ">"]) {
            (**self).visit();
        }
    }
}
impl<T: Owner + Spelled> Owner for Arc<T> {
    fn visit(&self) {
        if name(inner_of(&**self), ["alloc::sync::ArcInner<", T::spelled(), ">"]) {
            (**self).visit();
        }
    }
}
impl Owner for Arc<str> {
    fn visit(&self) {
        name(inner_of(&**self), ["alloc::sync::ArcInner<", "str", ">"]);
    }
}
impl<T> Owner for Weak<T> {
    fn visit(&self) {}
}
impl<T: Owner> Owner for Mutex<T> {
    fn visit(&self) {
        self.lock().unwrap().visit();
    }
}
impl<T: Spelled> Spelled for Mutex<T> {
    fn spelled() -> &'static str {
        type_name::<Mutex<T>>()
    }
}
impl<T: Owner> Owner for RwLock<T> {
    fn visit(&self) {
        self.read().unwrap().visit();
    }
}

impl<K: Owner, V: Owner> Owner for HashMap<K, V> {
    fn visit(&self) {
        if let Some((key, _)) = self.iter().next() {
            name(key, ["", type_name::<(K, V)>(), "[]"]);
        }
        for (key, value) in self {
            key.visit();
            value.visit();
        }
    }
}
impl<T: Owner> Owner for HashSet<T> {
    fn visit(&self) {
        if let Some(key) = self.iter().next() {
            name(key, ["", type_name::<(T, ())>(), "[]"]);
        }
        self.iter().for_each(T::visit);
    }
}

fn name_tree_node<K, V>(key: &K, types: &'static str) {
    let align = align_of::<K>().max(align_of::<V>()).max(8);
    let leaf_bytes = (8 + 11 * size_of::<K>() + 11 * size_of::<V>() + 4).next_multiple_of(align);
    let is_internal = block_around(key, &["", types, ""]).usable_bytes >= leaf_bytes + 96;
    let node = if is_internal { "InternalNode" } else { "LeafNode" };
    name(key, ["alloc::collections::btree::node::", node, types]);
}
// "<K, V>" of "(K, V)": the same letters, as the rows are written.
impl<K: Owner, V: Owner> Owner for BTreeMap<K, V> {
    fn visit(&self) {
        for (key, value) in self {
            name_tree_node::<K, V>(key, type_name::<(K, V)>());
            key.visit();
            value.visit();
        }
    }
}
impl<T: Owner> Owner for BTreeSet<T> {
    fn visit(&self) {
        for key in self {
            name_tree_node::<T, ()>(key, type_name::<(T, SetValZST)>());
            key.visit();
        }
    }
}
#[allow(clippy::upper_case_acronyms)]
struct SetValZST; // the standard library's, which is private, is written for it

impl<T: Owner + Spelled> Owner for LinkedList<T> {
    fn visit(&self) {
        for element in self {
            name(element, ["alloc::collections::linked_list::Node<", T::spelled(), ">"]);
            element.visit();
        }
    }
}

// ---- The program ----

trait Shape {
    fn area(&self) -> f64;
    fn type_of(&self) -> &'static str;
    fn visit_parts(&self) {}
}

macro_rules! owner {
    ($type:ident { $($field:ident),* }) => {
        impl Owner for $type { fn visit(&self) { $(self.$field.visit();)* } }
        impl Spelled for $type { fn spelled() -> &'static str { type_name::<$type>() } }
    };
}

struct Circle {
    radius: f64,
    label: String,
}
owner!(Circle { radius, label });
struct Square {
    side: f64,
    corners: [u64; 4],
}
struct Polygon {
    points: Vec<(f64, f64)>,
    holes: Vec<Box<Square>>,
}
owner!(Square { side, corners });
owner!(Polygon { points, holes });

impl Shape for Circle {
    fn area(&self) -> f64 {
        self.radius * self.radius * 3.0
    }
    fn type_of(&self) -> &'static str {
        type_name::<Circle>()
    }
    fn visit_parts(&self) {
        self.visit();
    }
}
impl Shape for Square {
    fn area(&self) -> f64 {
        self.side * self.side + self.corners[0] as f64
    }
    fn type_of(&self) -> &'static str {
        type_name::<Square>()
    }
}
impl Shape for Polygon {
    fn area(&self) -> f64 {
        self.points.len() as f64
    }
    fn type_of(&self) -> &'static str {
        type_name::<Polygon>()
    }
    fn visit_parts(&self) {
        self.visit();
    }
}
impl Owner for Box<dyn Shape> {
    fn visit(&self) {
        name(&**self, ["", self.type_of(), ""]);
        self.visit_parts();
    }
}
impl Owner for Rc<dyn Shape> {
    fn visit(&self) {
        if name(inner_of(&**self), ["alloc::rc::RcInner<", self.type_of(), ">"]) {
            self.visit_parts();
        }
    }
}

enum Value {
    Null,
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
    Shared(Arc<Document>),
    Link(Box<Circle>),
}
impl Spelled for Value {
    fn spelled() -> &'static str {
        type_name::<Value>()
    }
}
impl Owner for Value {
    fn visit(&self) {
        match self {
            Value::Null => {}
            Value::Number(number) => number.visit(),
            Value::Text(text) => text.visit(),
            Value::List(values) => values.visit(),
            Value::Object(members) => members.visit(),
            Value::Shared(document) => document.visit(),
            Value::Link(circle) => circle.visit(),
        }
    }
}

struct Document {
    title: String,
    words: Vec<String>,
    body: Box<str>,
    kind: Arc<str>,
}
owner!(Document { title, words, body, kind });

struct TreeNode {
    value: u64,
    children: Vec<Rc<TreeNode>>,
    parent: Option<Weak<TreeNode>>,
    next: Option<Box<TreeNode>>,
}
owner!(TreeNode { value, children, parent, next });

struct Session {
    id: u64,
    user: String,
    history: VecDeque<Event>,
    scores: Vec<f64>,
    avatar: Option<Box<Circle>>,
    note: Option<String>,
    shape: Box<dyn Shape>,
    document: Arc<Document>,
}
owner!(Session { id, user, history, scores, avatar, note, shape, document });

enum Event {
    Login { from: String, at: u64 },
    Logout(u64),
    Message(Box<Circle>, u32),
}
impl Spelled for Event {
    fn spelled() -> &'static str {
        type_name::<Event>()
    }
}
impl Owner for Event {
    fn visit(&self) {
        match self {
            Event::Login { from, at } => (from.visit(), at.visit()).0,
            Event::Logout(at) => at.visit(),
            Event::Message(circle, number) => (circle.visit(), number.visit()).0,
        }
    }
}

struct Server {
    sessions: HashMap<u64, Session>,
    by_name: HashMap<String, Arc<Document>>,
    seen: HashSet<u64>,
    names: HashSet<String>,
    index: BTreeMap<u64, String>,
    places: BTreeMap<String, Vec<u32>>,
    ids: BTreeSet<u64>,
    shapes: Vec<Box<dyn Shape>>,
    shared_shapes: Vec<Rc<dyn Shape>>,
    config: Value,
    tree: Rc<TreeNode>,
    chain: Option<Box<TreeNode>>,
    queue: LinkedList<Circle>,
    priorities: BinaryHeap<u64>,
    table: Box<[u64]>,
    matrix: Vec<Vec<f64>>,
    boxes: Vec<Box<Circle>>,
    pairs: Vec<(String, u64)>,
    options: Vec<Option<String>>,
    jobs: Arc<Mutex<Vec<String>>>,
}
owner!(Server {
    sessions, by_name, seen, names, index, places, ids, shapes, shared_shapes, config, tree, chain, queue, priorities,
    table, matrix, boxes, pairs, options, jobs
});

static CACHE: OnceLock<RwLock<HashMap<u32, Box<[u16]>>>> = OnceLock::new();
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
static mut SERVER: Option<Box<Server>> = None;

fn text(what: &str, number: u64) -> String {
    format!("{what} number {number} of many")
}

fn circle(number: u64) -> Circle {
    Circle { radius: number as f64, label: text("circle", number) }
}

fn shape(number: u64) -> Box<dyn Shape> {
    match number % 3 {
        0 => Box::new(circle(number)),
        1 => Box::new(Square { side: number as f64, corners: [number; 4] }),
        _ => Box::new(Polygon {
            points: (0..number % 9 + 1).map(|i| (i as f64, 1.5)).collect(),
            holes: (0..2).map(|i| Box::new(Square { side: i as f64, corners: [7; 4] })).collect(),
        }),
    }
}

fn document(number: u64) -> Arc<Document> {
    Arc::new(Document {
        title: text("document", number),
        words: (0..number % 7).map(|i| text("word", i)).collect(),
        body: text("body", number * number).into_boxed_str(),
        kind: Arc::from(text("kind", number)),
    })
}

fn value(number: u64, depth: u32) -> Value {
    match if depth == 0 { number % 3 } else { number % 7 } {
        0 => Value::Null,
        1 => Value::Number(number as f64),
        2 => Value::Text(text("value", number)),
        3 => Value::Shared(document(number)),
        4 => Value::Link(Box::new(circle(number))),
        5 => Value::List((0..number % 13 + 2).map(|i| value(number * 5 + i, depth - 1)).collect()),
        _ => Value::Object((0..number % 20 + 2).map(|i| (text("key", i), value(number + i, depth - 1))).collect()),
    }
}

fn session(number: u64) -> Session {
    let mut history: VecDeque<Event> = (0..9)
        .map(|i| match (i + number) % 3 {
            0 => Event::Login { from: text("host", i), at: i },
            1 => Event::Logout(i),
            _ => Event::Message(Box::new(circle(i)), 3),
        })
        .collect();
    history.rotate_left(number as usize % 9);
    history.pop_front();
    history.push_back(Event::Logout(number));
    Session {
        id: number,
        user: text("user", number),
        history,
        scores: (0..number % 20).map(|i| i as f64).collect(),
        avatar: (number % 2 == 0).then(|| Box::new(circle(number))),
        note: (number % 3 == 0).then(|| text("note", number)),
        shape: shape(number),
        document: document(number),
    }
}

fn tree(depth: u64) -> Rc<TreeNode> {
    Rc::new_cyclic(|me| TreeNode {
        value: depth,
        children: (0..depth).map(|child| if child > 3 { leaf(me.clone()) } else { tree(depth - 1) }).collect(),
        parent: None,
        next: None,
    })
}
fn leaf(parent: Weak<TreeNode>) -> Rc<TreeNode> {
    Rc::new(TreeNode { value: 0, children: Vec::new(), parent: Some(parent), next: None })
}
fn chain(length: u64) -> Option<Box<TreeNode>> {
    (0..length).fold(None, |next, value| Some(Box::new(TreeNode { value, children: vec![], parent: None, next })))
}

#[inline(never)]
fn server() -> Server {
    let mut server = Server {
        sessions: (0..300).map(|i| (i, session(i))).collect(),
        by_name: (0..200).map(|i| (text("name", i), document(i))).collect(),
        seen: (0..1000).collect(),
        names: (0..300).map(|i| text("seen", i)).collect(),
        index: (0..2000).map(|i| (i, text("entry", i))).collect(),
        places: (0..500).map(|i| (text("place", i), (0..(i % 8) as u32).collect())).collect(),
        ids: (0..3000).collect(),
        shapes: (0..300).map(shape).collect(),
        shared_shapes: (0..60).map(|i| Rc::from(circle(i)) as Rc<dyn Shape>).collect(),
        config: value(6, 6),
        tree: tree(5),
        chain: chain(100),
        queue: (0..100).map(circle).collect(),
        priorities: (0..500).collect(),
        table: (0..3000).collect(),
        matrix: (1..60).map(|i| vec![0.5; i]).collect(),
        boxes: (0..200).map(|i| Box::new(circle(i))).collect(),
        pairs: (0..150).map(|i| (text("pair", i), i)).collect(),
        options: (0..150).map(|i| (i % 4 != 0).then(|| text("option", i))).collect(),
        jobs: Arc::new(Mutex::new((0..90).map(|i| text("job", i)).collect())),
    };
    server.shared_shapes.extend((0..60).map(|i| Rc::new(Square { side: i as f64, corners: [1; 4] }) as Rc<dyn Shape>));
    for i in (0..300).step_by(7) {
        server.sessions.remove(&i);
    }
    for i in (0..2000).step_by(5) {
        server.index.remove(&i);
    }
    server
}

fn write_truth(path: &CString) {
    let file = unsafe { open(path.as_ptr(), 0o1101, 0o600) }; // O_WRONLY | O_CREAT | O_TRUNC
    let put = |text: &[u8]| {
        if unsafe { write(file, text.as_ptr().cast(), text.len()) } != text.len() as isize {
            fail("cannot write", &["", "", ""]);
        }
    };
    for block in blocks().iter() {
        if block.key <= 1 {
            continue;
        }
        if block.name[1].is_empty() {
            fail("a block that nobody named", &["", "", ""]);
        }
        let mut row = [0u8; 64];
        let mut free = &mut row[..];
        std::io::Write::write_fmt(&mut free, format_args!("{:#x}\t{}\t", !block.key, block.usable_bytes)).unwrap();
        let length = 64 - free.len();
        put(&row[..length]);
        if block.name[0] == "alloc::collections::btree::node::" {
            let types = &block.name[2].as_bytes()[1..block.name[2].len() - 1];
            let own = types.windows(14).position(|part| part == b"typed_heap_rs:".as_slice() && types.ends_with(b"::SetValZST"));
            put(block.name[0].as_bytes());
            put(block.name[1].as_bytes());
            put(b"<");
            match own {
                Some(at) => {
                    put(&types[..at]);
                    put(b"alloc::collections::btree::set_val::SetValZST");
                }
                None => put(types),
            }
            put(b">\n");
            continue;
        }
        for part in block.name {
            put(part.as_bytes());
        }
        put(b"\n");
    }
}

fn main() {
    let path = CString::new(std::env::args().nth(1).expect("a file for the truth")).unwrap();
    unsafe { IS_RECORDING = true };
    let made = Box::new(server());
    let mut total = made.shapes.iter().map(|shape| shape.area()).sum::<f64>();
    total += made.shared_shapes.iter().map(|shape| shape.area()).sum::<f64>();
    unsafe { SERVER = Some(made) };
    let cache = CACHE.get_or_init(Default::default);
    for i in 0..100 {
        cache.write().unwrap().insert(i, (0..i as u16 + 1).collect());
    }
    LOG.lock().unwrap().extend((0..100).map(|i| text("line", i)));
    let on_stack: Vec<Circle> = (0..20).map(circle).collect();
    unsafe { IS_RECORDING = false };
    unsafe { (*std::ptr::addr_of!(SERVER)).visit() };
    cache.visit();
    LOG.visit();
    on_stack.visit();
    std::hint::black_box((&on_stack, total));
    write_truth(&path);
    std::process::abort()
}
