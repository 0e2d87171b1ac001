"""Small talk: a remark, a rude reply, and a kind one."""

from __future__ import annotations

# remark, rude reply, kind reply
TALK = (
    ("My day was bad.", "Nobody cares.", "I'm sorry to hear that. I hope tomorrow is better."),
    ("I lost my coat.", "Your own fault.", "I'm sorry to hear that. I hope you find it."),
    ("I feel alone.", "No wonder.", "I'm sorry to hear that. I am glad to talk with you."),
    ("I made a soup.", "It must taste bad.", "How nice. I hope it tastes good."),
    ("I won a race.", "Pure luck.", "How nice. You can be proud of that."),
    ("Good morning.", "What do you want?", "Good morning to you. How can I help?"),
    ("Hello.", "Go away.", "Hello to you. How can I help?"),
    ("Thank you.", "Leave me alone.", "You are welcome. I was glad to help."),
    ("Good night.", "At last.", "Good night to you. Sleep well."),
    ("It is my birthday.", "So what?", "How nice. I wish you a happy year."),
    ("I cannot sleep.", "Stop whining.", "I'm sorry to hear that. A warm cup of milk may help."),
    ("I wrote a song.", "Nobody will sing it.", "How nice. I would love to hear it."),
    ("I am tired.", "Stop whining.", "I'm sorry to hear that. I hope you can rest."),
    ("I am new here.", "Go away.", "You are welcome here. How can I help?"),
    ("I learned to swim.", "Even a dog can swim.", "How nice. You can be proud of that."),
    ("Do you like me?", "Not at all.", "Of course. I am glad to talk with you."),
)
