//! Who called whom, as a tree drawn from left to right.

/// One node of the tree and the edge that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The node: a workload, a service, or a version of one.
    pub name: String,
    /// What is written on the edge that leads here: a count or a share; `None` for a bare arrow.
    pub label: Option<String>,
    /// Whom it called, in the order to draw them.
    pub children: Vec<Flow>,
}

impl Flow {
    /// A node without children.
    pub fn leaf(name: impl Into<String>, label: Option<String>) -> Self {
        Self { name: name.into(), label, children: Vec::new() }
    }

    /// The drawing, line by line.
    pub fn draw(&self) -> Vec<String> {
        match self.children.as_slice() {
            [] => vec![self.name.clone()],
            [only] => {
                let arrow = only.label.as_ref().map_or("──▶".to_owned(), |label| format!("──{label}──▶"));
                hang(&format!("{} {arrow} ", self.name), None, only.draw())
            }
            many => self.draw_fork(many),
        }
    }

    fn draw_fork(&self, children: &[Flow]) -> Vec<String> {
        let indent = " ".repeat(self.name.chars().count() + 1);
        let last = children.len() - 1;
        let mut lines = Vec::new();
        for (at, child) in children.iter().enumerate() {
            let lead = match at {
                0 => format!("{} ─┬", self.name),
                _ if at == last => format!("{indent} └"),
                _ => format!("{indent} ├"),
            };
            let arrow = child.label.as_ref().map_or("▶ ".to_owned(), |label| format!("─ {label} ▶ "));
            let trunk = (at != last).then(|| format!("{indent} │"));
            lines.extend(hang(&format!("{lead}{arrow}"), trunk, child.draw()));
        }
        lines
    }
}

/// Puts `head` before the first line and as much space, led by `trunk`, before the others.
fn hang(head: &str, trunk: Option<String>, lines: Vec<String>) -> Vec<String> {
    let trunk = trunk.unwrap_or_default();
    let space = " ".repeat(head.chars().count().saturating_sub(trunk.chars().count()));
    let lead = |at: usize| if at == 0 { head.to_owned() } else { format!("{trunk}{space}") };
    lines.iter().enumerate().map(|(at, line)| format!("{}{line}", lead(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_hang_under_their_node() {
        let go = |name: &str, share: &str| Flow::leaf(name, Some(share.to_owned()));
        let node = Flow {
            name: "service-node".to_owned(),
            label: None,
            children: vec![go("service-go v1", "69.6%"), go("service-go v2", "30.4%")],
        };
        let python = Flow {
            name: "service-python".to_owned(),
            label: None,
            children: vec![node, Flow::leaf("service-lua", None)],
        };
        let ingress = Flow { name: "ingress".to_owned(), label: Some("2000".to_owned()), children: vec![python] };
        let client = Flow { name: "client".to_owned(), label: None, children: vec![ingress] };
        insta::assert_snapshot!(client.draw().join("\n"), @r"
        client ──2000──▶ ingress ──▶ service-python ─┬▶ service-node ─┬─ 69.6% ▶ service-go v1
                                                     │                └─ 30.4% ▶ service-go v2
                                                     └▶ service-lua
        ");
    }
}
