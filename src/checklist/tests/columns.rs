//! Derived columns that a person moved, deleted or left empty.

use super::*;

const TEXT: &str = "| 检查项 | 状态 |\n|---|---|\n| a | ✅ |\n| b | ✅ |\n";

/// Rewrites the cells of every line of a document.
fn edit(text: &str, change: impl Fn(usize, &mut Vec<String>)) -> String {
    let lines = text.lines().enumerate().map(|(at, line)| {
        let mut cells: Vec<String> = line
            .trim_matches('|')
            .replace("\\|", "\u{1}")
            .split('|')
            .map(str::to_owned)
            .collect();
        change(at, &mut cells);
        format!("|{}|\n", cells.join("|").replace('\u{1}', "\\|"))
    });
    lines.collect()
}

fn titles(text: &str) -> Vec<&str> {
    let header = text.lines().next().expect("a header");
    header.trim_matches('|').split('|').map(str::trim).collect()
}

/// What is written over a regenerated document that was changed by hand, and that it stays so.
fn again(change: impl Fn(usize, &mut Vec<String>)) -> (String, String) {
    let (first, lock) = write(&fresh(TEXT), 1, Volatile::Renew);
    let (second, lock) = write(&read(&edit(&first, change), lock), 1, Volatile::Renew);
    let (third, _) = write(&read(&second, lock), 1, Volatile::Renew);
    assert_eq!(second, third, "the same evidence twice changes nothing");
    (first, second)
}

#[test]
fn deleted_ones_come_back_once_at_the_end() {
    let expected = [
        ["检查项", "状态", "证据", "观测时间", "差异", "推导状态"],
        ["检查项", "状态", "推导状态", "观测时间", "差异", "证据"],
        ["检查项", "状态", "推导状态", "证据", "差异", "观测时间"],
        ["检查项", "状态", "推导状态", "证据", "观测时间", "差异"],
    ];
    for (which, expected) in expected.iter().enumerate() {
        let (first, second) = again(|_, cells| drop(cells.remove(2 + which)));
        assert_eq!(titles(&second), expected);
        // Nothing of a row is lost or doubled.
        let sorted = |text: &str| -> Vec<Vec<String>> {
            let mut rows = Vec::new();
            edit(text, |_, cells| assert_eq!(cells.len(), 6, "{text}"));
            for line in text.lines() {
                let line = line.replace("\\|", "\u{1}");
                let mut cells: Vec<String> =
                    line.split('|').map(|cell| cell.trim().to_owned()).collect();
                cells.sort();
                rows.push(cells);
            }
            rows.remove(1);
            rows
        };
        assert_eq!(sorted(&first), sorted(&second));
    }
}

#[test]
fn moved_ones_stay_where_they_were_moved() {
    let (_, second) = again(|_, cells| cells.swap(3, 5));
    assert_eq!(
        titles(&second),
        ["检查项", "状态", "推导状态", "差异", "观测时间", "证据"]
    );
    let (_, second) = again(|at, cells| {
        let note = ["备忘", "---", "mine", "mine too"][at];
        cells.insert(4, format!(" {note} "));
    });
    assert_eq!(
        titles(&second),
        [
            "检查项",
            "状态",
            "推导状态",
            "证据",
            "备忘",
            "观测时间",
            "差异"
        ]
    );
    assert!(
        second.contains("| mine |") && second.contains("| mine too |"),
        "{second}"
    );
}

#[test]
fn a_new_row_with_empty_cells_is_filled() {
    let (first, lock) = write(&fresh(TEXT), 1, Volatile::Renew);
    let (second, _) = write(
        &read(&format!("{first}| c | ✅ |  |  |  |  |\n"), lock),
        1,
        Volatile::Renew,
    );
    let last = second.lines().last().expect("a row");
    assert!(last.starts_with("| c | ❓ 未知 | 未知 · "), "{last}");
    assert_eq!(last.replace("\\|", "").matches('|').count(), 7, "{last}");
}

#[test]
fn a_column_of_the_document_is_not_taken_for_a_derived_one() {
    let text = "| Item | Status | Evidence |\n|---|---|---|\n| a | ✅ | mine |\n";
    let (new, lock) = write(&fresh(text), 0, Volatile::Renew);
    assert!(new.contains("| mine |"), "{new}");
    assert_eq!(write(&read(&new, lock), 0, Volatile::Renew).0, new);
}
