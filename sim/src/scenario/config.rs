//! Manifests, by path or inline.

use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::Node;

use super::fields::Findings;
use super::include::{File, Files};
use super::parse::Manifests;

/// Reads `config`: one entry or a list; a text of several lines is a manifest, any other text a path, which is
/// relative to the file of `of` that it stands in.
pub(super) fn read(
    node: Option<&Node>,
    of: &Files,
    manifests: &dyn Manifests,
    findings: &mut Findings,
) -> Vec<SourceFile> {
    let Some(node) = node else { return Vec::new() };
    let mut files: Vec<SourceFile> = Vec::new();
    let mut inline: Vec<&Node> = Vec::new();
    for item in findings.items(node) {
        let Some(text) = findings.text(item, "a manifest is a path or inline text; it") else { continue };
        if text.contains('\n') {
            inline.push(item);
            continue;
        }
        match manifests.read(&of.at(&item.span).path(text)) {
            Ok(read) => {
                for file in read {
                    if files.iter().any(|own| own.name == file.name) {
                        findings.wrong(&item.span, format!("{} is given twice", file.name));
                    } else {
                        files.push(file);
                    }
                }
            }
            Err(why) => findings.wrong(&item.span, why),
        }
    }
    while let Some(first) = inline.first() {
        let name = first.span.file.clone();
        let (blocks, others): (Vec<_>, Vec<_>) = inline.into_iter().partition(|block| block.span.file == name);
        files.push(inlined(&blocks, of.at(&blocks[0].span)));
        inline = others;
    }
    files
}

/// The inline manifests of a scenario's file as one file of its name and length: each stands on the lines and in
/// the columns where that file has it, and all other lines are empty. So every place in it is a place in that
/// file.
fn inlined(blocks: &[&Node], file: &File) -> SourceFile {
    let lines: Vec<&str> = file.source.text.lines().collect();
    let mut kept: Vec<&str> = vec![""; lines.len()];
    for block in blocks {
        let text = block.scalar_text().unwrap_or_default();
        let first = first_line(block, text, &lines);
        // The line before a block holds its `|`: here it holds what parts it from the block before.
        if let Some(before) = first.checked_sub(1) {
            kept[before] = "---";
        }
        for (at, line) in lines.iter().enumerate().skip(first).take(text.lines().count()) {
            kept[at] = if line.trim() == "---" { "---" } else { line };
        }
    }
    SourceFile::new(file.seen.as_str(), kept.join("\n") + "\n")
}

/// Index of the line on which the content of a block scalar begins: the first at or below its start that
/// reads as the content's first line.
fn first_line(block: &Node, text: &str, lines: &[&str]) -> usize {
    let start = (block.span.line as usize).saturating_sub(1);
    let wanted = text.lines().next().unwrap_or_default().trim();
    (start..lines.len()).find(|at| lines[*at].trim() == wanted).unwrap_or(start)
}
