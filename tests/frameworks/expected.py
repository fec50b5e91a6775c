"""What each scenario must look like in a trace, by framework: a tree, its rows parted by "|".

``*`` behind a scenario's name: siblings run at the same time, compare them unordered.
"""

EXPECTED = {
    "langgraph": {
        "sequential": ("agent sequential ok|  llm fake-1 ok|  tool search ok|    tool lookup ok|  llm fake-1 ok"),
        "parallel*": (
            "agent LangGraph ok|"
            "  llm fake-1 ok|"
            "  llm fake-1 ok|"
            "  tool lookup ok|"
            "  tool lookup ok|"
            "  tool search ok|"
            "    tool lookup ok"
        ),
        "tool_error": ("agent LangGraph error|  llm fake-1 ok|  tool broken error"),
        "tool_error_handled": ("agent LangGraph ok|  llm fake-1 ok|  tool broken error|  llm fake-1 ok"),
        "model_retry": ("agent Flaky ok|  llm fake-1 error|  llm fake-1 error|  llm fake-1 ok"),
        "streaming": ("agent LangGraph ok|  llm fake-1 ok"),
        "cancelled": ("agent LangGraph cancelled|  llm fake-1 ok|  tool forever cancelled"),
        "subagent": (
            "agent supervisor ok|"
            "  llm fake-1 ok|"
            "  tool research ok|"
            "    agent researcher ok|"
            "      llm fake-1 ok|"
            "      tool lookup ok|"
            "      llm fake-1 ok|"
            "  llm fake-1 ok"
        ),
        "human": (
            "agent LangGraph interrupted|"
            "  llm fake-1 ok|"
            "  tool send_mail interrupted|"
            "  approval send_mail resumed|"
            "agent LangGraph ok|"
            "  tool send_mail ok|"
            "  llm fake-1 ok"
        ),
    },
    "openai_agents": {
        "sequential": ("agent solo ok|  llm fake-1 ok|  tool lookup ok|  llm fake-1 ok"),
        "parallel*": (
            "agent solo ok|  llm fake-1 ok|  llm fake-1 ok|  tool lookup ok|  tool lookup ok|  tool slow_sync ok"
        ),
        "tool_error": ("agent solo ok|  llm fake-1 ok|  tool broken error|  llm fake-1 ok"),
        "tool_error_hard": ("agent solo error|  llm fake-1 ok|  tool broken_hard error"),
        "model_error": ("agent solo error|  llm fake-1 error"),
        "handoffs": (
            "agent triage ok|"
            "  llm fake-1 ok|"
            "  route billing|"
            "agent billing ok|"
            "  llm fake-1 ok|"
            "  tool lookup ok|"
            "  llm fake-1 ok"
        ),
        "agent_as_tool": (
            "agent supervisor ok|"
            "  llm fake-1 ok|"
            "  tool research ok|"
            "    agent researcher ok|"
            "      llm fake-1 ok|"
            "      tool lookup ok|"
            "      llm fake-1 ok|"
            "  llm fake-1 ok"
        ),
        "streaming": ("agent solo ok|  llm fake-1 ok|  tool lookup ok|  llm fake-1 ok"),
        "human": (
            "agent solo interrupted|"
            "  llm fake-1 ok|"
            "  approval send_mail resumed|"
            "agent solo ok|"
            "  tool send_mail ok|"
            "  llm fake-1 ok"
        ),
    },
    "pydantic_ai": {
        "sequential": ("agent solo ok|  llm fake-1 ok|  tool lookup ok|  llm fake-1 ok"),
        "parallel*": (
            "agent solo ok|  llm fake-1 ok|  llm fake-1 ok|  tool lookup ok|  tool lookup ok|  tool slow_sync ok"
        ),
        "tool_error": ("agent solo error|  llm fake-1 ok|  tool broken error"),
        "tool_retry": (
            "agent solo ok|  llm fake-1 ok|  tool picky error|  llm fake-1 ok|  tool picky ok|  llm fake-1 ok"
        ),
        "model_error": ("agent solo error|  llm fake-1 error"),
        "subagent": (
            "agent supervisor ok|"
            "  llm fake-1 ok|"
            "  tool research ok|"
            "    agent researcher ok|"
            "      llm fake-1 ok|"
            "      tool lookup ok|"
            "      llm fake-1 ok|"
            "  llm fake-1 ok"
        ),
        "streaming": ("agent solo ok|  llm fake-1 ok|  tool lookup ok|  llm fake-1 ok"),
        "cancelled": ("agent solo cancelled|  llm fake-1 ok|  tool forever cancelled"),
        "human_deferred": (
            "agent solo interrupted|"
            "  llm fake-1 ok|"
            "  approval send_mail resumed|"
            "agent solo ok|"
            "  tool send_mail ok|"
            "  llm fake-1 ok"
        ),
    },
}
