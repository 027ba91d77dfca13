//! What is wanted of JSON: members of the object itself, and values that lie deeper in it.
//!
//! In: a layout. Out: a [`Tree`], whose nodes say of each member and element which columns take it
//! and what is wanted of what lies in it.

use super::Layout;
use crate::column::derived::{Derived, Step};

/// The wanted values, as a tree of members and elements. The node 0 is the object itself.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Whether some column is a path.
    pub has_paths: bool,
}

/// A value of which something is wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// The columns that the value itself is.
    pub columns: Vec<usize>,
    /// The columns of paths that the member is called as: it goes before what lies at the path.
    pub namesakes: Vec<usize>,
    /// The columns of all that lies in it.
    pub within: Vec<usize>,
    members: Vec<(String, usize)>,
    elements: Vec<(i64, usize)>,
}

/// What happens to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Target {
    /// Nobody wants it.
    #[default]
    Nothing,
    /// It is the value of a column.
    Column(usize),
    /// It is more than that, or something that lies in it is wanted.
    Node(usize),
}

impl Tree {
    /// Returns the tree of the wanted columns.
    pub fn of(layout: &Layout) -> Self {
        let mut tree = Tree {
            nodes: vec![Node::default()],
            has_paths: false,
        };
        let schema = &layout.schema;
        for &index in &layout.wanted {
            let derived = schema.derived.iter().find(|(derived, _)| *derived == index);
            let name = &schema.fields[index].name;
            match derived.map(|(_, derived)| derived) {
                None => {
                    let at = tree.member(0, name);
                    tree.nodes[at].columns.push(index);
                }
                Some(Derived::Path(path)) => {
                    tree.has_paths = true;
                    let at = tree.member(0, name);
                    tree.nodes[at].namesakes.push(index);
                    let mut at = tree.member(0, &path.member);
                    for step in &path.steps {
                        tree.nodes[at].within.push(index);
                        at = match step {
                            Step::Member(name) => tree.member(at, name),
                            Step::Element(nth) => tree.element(at, *nth),
                        };
                    }
                    tree.nodes[at].columns.push(index);
                }
                Some(Derived::Part(_)) => {} // of the record, not of its value
            }
        }
        tree
    }

    /// Returns how many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// Returns what happens to a member of the value `at`.
    pub fn target_of_member(&self, at: usize, name: &str) -> Target {
        let mut members = self.nodes[at].members.iter();
        let found = members.find(|(member, _)| member == name);
        found.map_or(Target::Nothing, |(_, at)| self.target(*at))
    }

    /// Returns what happens to an element of the value `at`.
    pub fn target_of_element(&self, at: usize, nth: i64) -> Target {
        let mut elements = self.nodes[at].elements.iter();
        let found = elements.find(|(element, _)| *element == nth);
        found.map_or(Target::Nothing, |(_, at)| self.target(*at))
    }

    fn target(&self, at: usize) -> Target {
        let node = &self.nodes[at];
        match node.columns[..] {
            [column] if node.within.is_empty() && node.namesakes.is_empty() => {
                Target::Column(column)
            }
            _ => Target::Node(at),
        }
    }

    fn member(&mut self, at: usize, name: &str) -> usize {
        let mut members = self.nodes[at].members.iter();
        if let Some((_, known)) = members.find(|(member, _)| member == name) {
            return *known;
        }
        let new = self.nodes.len();
        self.nodes[at].members.push((name.to_owned(), new));
        self.nodes.push(Node::default());
        new
    }

    fn element(&mut self, at: usize, nth: i64) -> usize {
        let mut elements = self.nodes[at].elements.iter();
        if let Some((_, known)) = elements.find(|(element, _)| *element == nth) {
            return *known;
        }
        let new = self.nodes.len();
        self.nodes[at].elements.push((nth, new));
        self.nodes.push(Node::default());
        new
    }
}
